"""--remap-root: what installs packages must work, and stay, for an ordinary user without subordinate ids."""
import os
import pathlib
import subprocess
import tempfile
import zipfile

from containers import ContainerTestCase, layout
from harness import shared_directory

APT_SECONDS = 600
# The machine's own apt settings, copied (packages add to them), and what they name.
APT_SETTINGS = "cp -r /host/apt/. /etc/apt/; apt-get -qq update; export DEBIAN_FRONTEND=noninteractive; "
APT_MOUNTS = ["--mount", "/etc/apt:/host/apt:ro"] + [
    option
    for path in ("/usr/share/keyrings", "/usr/lib/apt/methods")
    if os.path.isdir(path)
    for option in ("--mount", f"{path}:{path}:ro")
]


class RemapRoot(ContainerTestCase):
    def as_root_in(self, container, script, **more):
        return self.mlctr("run", "--remap-root", *more.pop("options", ()), container, "sh", "-e", "-c", script, **more)[0]

    def as_user_in(self, container, script):
        return self.mlctr("run", container, "sh", "-e", "-c", script)[0]

    def test_identity(self):
        self.mlctr("create", "--name", "c", layout("debian"))
        self.assertEqual(self.as_root_in("c", "id -u; id -g; whoami; echo $HOME $USER"), "0\n0\nroot\n/root root\n")
        self.assertEqual(self.as_user_in("c", "id -u; whoami"), f"{self.uid}\n{self.user}\n")
        self.as_root_in("c", "echo kept > /etc/kept; echo kept > /root/kept")
        self.assertEqual(self.as_user_in("c", "cat /etc/kept /root/kept"), "kept\nkept\n")

    def test_what_a_filter_makes_believe(self):
        self.mlctr("create", "--name", "c", layout("python"))
        out = self.as_root_in("c", """
            touch /f; chown 33:44 /f; chgrp 55 /f; chown -h daemon /f; chown root:root /f
            ! chown root /missing 2>/dev/null
            mkdir /d; chown -R www-data:www-data /d
            python3 - <<'P'
import os
os.setgroups([1, 2]); os.setgid(7); os.setuid(7); os.setresuid(8, 8, 8); os.setegid(9)
os.chown("/f", 1, -1); os.chown("/f", 0, 0); os.mknod("/n", 0o20666, os.makedev(1, 3))
print("python did")
P
            su -s /bin/sh nobody -c 'echo su did'
            echo done""")  # fmt: skip
        self.assertEqual(out, "python did\nsu did\ndone\n")

    def test_without_remapping_nothing_is_faked(self):
        self.mlctr("create", "--name", "c", layout("debian"))
        self.mlctr("run", "c", "sh", "-c", "touch /f && ! chown 33 /f 2>/dev/null && ! su nobody -s /bin/sh -c true 2>/dev/null")

    def test_useradd_tar_and_dpkg(self):
        self.mlctr("create", "--name", "c", layout("debian"))
        work = shared_directory("packages")
        control = work / "p/DEBIAN"
        control.mkdir(parents=True)
        (work / "p/opt").mkdir()
        (work / "p/opt/hello").write_text("hello\n")
        (control / "control").write_text("Package: mlctr-test\nVersion: 1\nArchitecture: all\nMaintainer: t <t@t>\nDescription: t\n")
        postinst = control / "postinst"
        postinst.write_text("#!/bin/sh\nset -e\nadduser --system --group mlctrsys >/dev/null || useradd -r mlctrsys\nchown mlctrsys /opt/hello\nchmod 4755 /opt/hello\n")
        postinst.chmod(0o755)
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", work / "p", work / "p.deb"], check=True, capture_output=True)
        subprocess.run(["tar", "-C", work / "p", "--owner=77", "--group=88", "-cf", work / "owned.tar", "opt"], check=True)
        self.as_root_in("c", "useradd -m -u 5000 bob; dpkg -i /pkg/p.deb >/dev/null; mkdir /x; tar -C /x -xpf /pkg/owned.tar; dpkg --audit",
                        options=("--mount", f"{work}:/pkg:ro"))  # fmt: skip
        out = self.as_user_in("c", "id -u bob; cat /opt/hello /x/opt/hello; stat -c %a /opt/hello; dpkg -s mlctr-test | grep ^Status; id -u mlctrsys >/dev/null")
        self.assertEqual(out, "5000\nhello\nhello\n4755\nStatus: install ok installed\n")

    def test_pip_installs_a_local_wheel(self):
        wheels = pathlib.Path(tempfile.mkdtemp(dir=shared_directory("wheels")))
        wheels.chmod(0o755)
        with zipfile.ZipFile(wheels / "hellopkg-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("hellopkg.py", "print('hello from a wheel')\n")
            wheel.writestr("hellopkg-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: hellopkg\nVersion: 1\n")
            wheel.writestr("hellopkg-1.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr("hellopkg-1.dist-info/RECORD", "hellopkg.py,,\nhellopkg-1.dist-info/METADATA,,\nhellopkg-1.dist-info/WHEEL,,\nhellopkg-1.dist-info/RECORD,,\n")
        self.mlctr("create", "--name", "c", layout("python"))
        has_pip = "yes" in self.as_root_in("c", "python3 -m pip --version >/dev/null 2>&1 && echo yes || true")
        if not has_pip:
            self.as_root_in("c", APT_SETTINGS + "apt-get -qq install -y --no-install-recommends python3-pip >/dev/null",
                            options=APT_MOUNTS, seconds=APT_SECONDS)  # fmt: skip
        self.as_root_in("c", "python3 -m pip install --break-system-packages --no-index -q --root-user-action=ignore /wheels/*.whl", options=("--mount", f"{wheels}:/wheels:ro"))
        self.assertEqual(self.as_user_in("c", "python3 -c 'import hellopkg'"), "hello from a wheel\n")

    def test_apt_installs_packages_whose_scripts_make_users(self):
        self.mlctr("create", "--name", "c", layout("debian"))
        self.as_root_in(
            "c", APT_SETTINGS + "apt-get -qq install -y --no-install-recommends file openssh-server postgresql-common",
            options=APT_MOUNTS, seconds=APT_SECONDS)  # fmt: skip
        out = self.as_user_in("c", "file -b /etc/os-release | head -c 8; echo; id -u sshd postgres >/dev/null; dpkg --audit; apt-get -qq check; test -x /usr/sbin/sshd && echo whole")
        self.assertIn("whole\n", out)
        self.as_root_in("c", "apt-get -qq remove -y file >/dev/null")
        self.mlctr("run", "c", "file", "--version", status=127)
