#!/bin/sh
# Epilog= of slurm.conf: root runs it on each node of a job that has ended. Where Slurm kills all processes of a job at once
# (ProctrackType=proctrack/cgroup), its containers had no time to tidy up: what they kept in this node's /tmp goes here. So
# do the containers that were this job's alone (--container-scope=job). What still runs, of the user's other jobs, stays.
# Not needed for new containers to start.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin  # Slurm sets none
user=${SLURM_JOB_USER:?}
home=$(getent passwd "$user" | cut -d: -f6)
cd /
timeout 60 runuser --user "$user" -- env HOME="$home" USER="$user" /usr/bin/mlctr gc --ended-job "${SLURM_JOB_ID:?}" > /dev/null 2>&1
exit 0  # Slurm drains a node whose epilog fails
