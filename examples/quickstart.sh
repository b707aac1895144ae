#!/usr/bin/env bash
# The main job from nothing: installs what is missing with apt, builds mlctr, pulls a python image, installs a package into a
# named container as mapped root, and runs a script that uses it, all as an ordinary user. Then examples/environment: built of its
# Containerfile, pushed to a registry that is started here, deleted, pulled back as its lock says, run again. Then the main job
# with srun and sbatch, on a Slurm cluster of three nodes that is brought up on this machine for it and taken down again.
# Works as root (the ordinary user is then nobody) and as a user with sudo, as often as you like.
# The image is python:3.8 from Docker Hub; where that can't be reached, one made of Debian's packages from a registry started here.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
tell() { printf '\n\033[1m$ %s\033[0m\n' "$*" >&2; }
TIMEFORMAT='(%R s)'
show() { tell "$@"; time "${as_user[@]}" "$@"; }
as_root=(sudo)
[ "$(id -u)" != 0 ] || as_root=()

say "1. What mlctr is built with"
tests/install.sh build
echo "all there"

say "2. Building (the first time takes a few minutes)"
cmake --preset release >/dev/null
ninja -C build/release --quiet mlctr

# The ordinary user's own directory, with the binary: a root's home is closed to others.
if [ "$(id -u)" = 0 ]; then
  work=/var/tmp/mlctr-quickstart
  install -d -o nobody -g nogroup "$work"
  as_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
  chmod 666 /dev/fuse  # as udev has it, where there is one
else
  work=$PWD/build/quickstart
  mkdir -p "$work"
  as_user=()
  [ -w /dev/fuse ] || sudo chmod 666 /dev/fuse
fi
install build/release/src/cli/mlctr build/release/src/cli/mlctr-task "$work"
box=/tmp/mlctr-quickstart-box  # the Slurm cluster's
# Ubuntu lets only programs with a profile of AppArmor's make user namespaces (mlctr doctor).
if [ "$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null)" = 1 ]; then
  profile=/etc/apparmor.d/mlctr-quickstart
  printf 'abi <abi/4.0>,\ninclude <tunables/global>\nprofile mlctr-quickstart "%s" flags=(unconfined) {\n  userns,\n}\n' "{$work,$box/bin}/mlctr" |
    "${as_root[@]}" tee "$profile" >/dev/null
  "${as_root[@]}" apparmor_parser -r "$profile"
fi
real_home=$HOME
export MLCTR_STORE=$work/store MLCTR_RUNTIME_DIR=$work/run HOME=$work PATH=$work:$PATH
cd "$work"
repository=$OLDPWD
"${as_user[@]}" mlctr version

hub_answers() { timeout 4 bash -c 'exec 3<>/dev/tcp/registry-1.docker.io/443' 2>/dev/null; }

"$repository/tests/install.sh" images
rm -rf registry && mkdir registry  # what an earlier run pushed
image=python:3.8
if ! hub_answers; then
  say "Docker Hub can't be reached from here: making a Python image of this system's packages, in a registry on this machine"
  fixtures=$(HOME=$real_home "$repository/tests/fixtures/build.sh")
  cp -r --reflink=auto "$fixtures/registry/." registry
  rm -rf store  # its images are of an earlier registry's, on another port
  image=
fi
coproc REGISTRY { exec /usr/bin/python3 -B "$repository/tests/servers/start.py" registry; }
read -r -t 30 host _ <&"${REGISTRY[0]}"
image=${image:-$host/library/python:3.8}

say "3. The main job"
show mlctr pull "$image"
show mlctr images
"${as_user[@]}" mlctr rm --force quickstart 2>/dev/null || true

# What installs the package: pip where the image is Docker Hub's; else apt, which needs this machine's settings to reach a mirror.
host_files=()
install=(pip install --quiet pyyaml)
if [ "$image" != python:3.8 ]; then
  host_files=(/etc/apt:/host/apt:ro /usr/share/keyrings:/usr/share/keyrings:ro /usr/lib/apt/methods:/usr/lib/apt/methods:ro)
  install=(sh -c 'rm -rf /etc/apt/sources.list* && cp -r /host/apt/. /etc/apt/ && apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-yaml >/dev/null')
fi
show mlctr run --remap-root --name quickstart "${host_files[@]/#/--mount=}" "$image" "${install[@]}"

"${as_user[@]}" tee train.py < "$repository/examples/environment/train.py" >/dev/null
show mlctr run quickstart python3 train.py
show mlctr ps --all

say "4. An environment to keep: a Containerfile and a lock, built here, pushed, deleted, pulled back and run again"
rm -rf environment && cp -r "$repository/examples/environment" .
arguments=()
if [ "$image" != python:3.8 ]; then
  # Instead of pip and PyPI: this system's packages, laid beside the Containerfile.
  arguments=(--build-arg "BASE=$image" --build-arg "INSTALL=env PATH=/usr/sbin:/usr/bin:/sbin:/bin dpkg --install /packages/*.deb")
  download() { (cd environment/packages && apt-get -qq -o APT::Sandbox::User=root download python3-yaml libyaml-0-2); }
  download || { "${as_root[@]}" apt-get -qq update && download; }
fi
chown -R --reference=. environment
cd environment
environment=$host/lab/environment:1
show mlctr lock "${arguments[@]}"
show mlctr build --locked "${arguments[@]}" --tag lab/environment .
show mlctr run lab/environment | tee ../built.out
pushed=$(show mlctr push --quiet lab/environment "$environment")
show mlctr lock "$environment" --file Containerfile "${arguments[@]}"  # the base image's, and what was made of it
show mlctr rmi lab/environment "$environment@$pushed"
show mlctr gc --max-size 0
show mlctr pull --locked "$environment"
show mlctr run --locked "$environment" | tee ../pulled.out
cmp ../built.out ../pulled.out
say "The same result. Now somebody moves the tag:"
show mlctr push "$image" "$environment"
if show mlctr pull --locked "$environment"; then exit 1; fi
show mlctr run --locked "$environment" >/dev/null
cd ..

say "5. The main job on a Slurm cluster: three nodes, all on this machine"
slurm_in_a_box() { "${as_root[@]}" env MLCTR_BOX="$box" /usr/bin/python3 -B "$repository/tests/slurm/box.py" "$@"; }
# Runs a command on the login node, as the cluster's own ordinary user. There, `srun` is a link to mlctr, first in PATH.
on_login_node() { tell "$@"; slurm_in_a_box run -- env "PATH=$box/bin:/usr/bin:/bin" "$@"; }
if "$repository/tests/install.sh" slurm; then
  slurm_in_a_box down
  trap 'slurm_in_a_box down' EXIT
  slurm_in_a_box up
  "${as_root[@]}" install -D -t "$box/bin" "$work/mlctr" "$work/mlctr-task"
  "${as_root[@]}" ln -s mlctr "$box/bin/srun"
  for file in environment/train.py train.sbatch; do "${as_root[@]}" install -m 644 "$repository/examples/$file" "$box/home/"; done

  on_login_node mlctr pull --quiet "$image"
  mounts=()
  [ ${#host_files[@]} = 0 ] || mounts=(--container-mounts="$(IFS=,; echo "${host_files[*]}")")
  # A container belongs to the node that it was made on.
  on_login_node srun --nodelist=n1 --container-image="$image" --container-name=py38 --container-remap-root "${mounts[@]}" "${install[@]}"
  on_login_node sbatch --quiet --wait --nodelist=n1 train.sbatch
  on_login_node cat train.out
  trap - EXIT
  slurm_in_a_box down
else
  echo "skipped: Slurm's packages can't be installed here"
fi

say "Done. To go on: export MLCTR_STORE=$MLCTR_STORE MLCTR_RUNTIME_DIR=$MLCTR_RUNTIME_DIR PATH=$work:\$PATH; mlctr --help"
