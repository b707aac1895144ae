"""slurm.conf and its companions for a cluster whose machines are all this one."""
import os
import textwrap

GPUS_A_NODE = 2
CORES_A_NODE = 8  # SlurmdParameters=config_overrides: whatever the machine really has


def slurm_conf(directory, ports, settings, cgroup):
    """`ports`: of slurmctld ("login") and of each node's slurmd. `settings`: lines that come last, and so win."""
    nodes = [name for name in ports if name != "login"]
    # proctrack/linuxproc needs nothing from the machine; proctrack/cgroup is what clusters have.
    tracking = ("proctrack/cgroup", "task/cgroup", "jobacct_gather/cgroup") if cgroup else ("proctrack/linuxproc", "task/none", "jobacct_gather/none")
    text = f"""\
        ClusterName=box
        SlurmctldHost=login(127.0.0.1)
        SlurmctldPort={ports["login"]}
        SlurmUser=root
        AuthType=auth/munge
        AuthInfo=socket={directory}/run/munge.socket
        CryptoType=crypto/munge
        StateSaveLocation={directory}/spool/slurmctld
        SlurmctldPidFile={directory}/run/slurmctld.pid
        SlurmctldLogFile={directory}/log/slurmctld.log
        SlurmdSpoolDir={directory}/spool/%n
        SlurmdPidFile={directory}/run/slurmd.%n.pid
        SlurmdLogFile={directory}/log/slurmd.%n.log
        SlurmdParameters=config_overrides
        PlugStackConfig={directory}/plugstack.conf
        ProctrackType={tracking[0]}
        TaskPlugin={tracking[1]}
        JobAcctGatherType={tracking[2]}
        AccountingStorageType=accounting_storage/none
        JobCompType=jobcomp/none
        MpiDefault=none
        SelectType=select/cons_tres
        SelectTypeParameters=CR_Core
        GresTypes=gpu
        ReturnToService=2
        KillWait=2
        MinJobAge=300
        SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
        PreemptType=preempt/partition_prio
        PreemptMode=REQUEUE
        """
    for node in nodes:
        text += f"""\
        NodeName={node} NodeHostname={node} NodeAddr=127.0.0.1 Port={ports[node]} CPUs={CORES_A_NODE} RealMemory=20000 Gres=gpu:{GPUS_A_NODE}
        """
    text += f"""\
        PartitionName=all Nodes={",".join(nodes)} Default=YES OverSubscribe=FORCE:4 PriorityTier=1
        PartitionName=urgent Nodes={",".join(nodes)} PriorityTier=2
        """
    return textwrap.dedent(text) + "".join(f"{line}\n" for line in settings)


def write_configuration(directory, ports, plugstack, settings, cgroup):
    nodes = ",".join(name for name in ports if name != "login")
    (directory / "slurm.conf").write_text(slurm_conf(directory, ports, settings, cgroup))
    (directory / "gres.conf").write_text(f"NodeName={nodes} Name=gpu File={directory}/dev/fakegpu[0-{GPUS_A_NODE - 1}]\n")
    # Constraining devices needs cgroup v1 or BPF; with cores it is what makes CUDA_VISIBLE_DEVICES more than a wish.
    (directory / "cgroup.conf").write_text("CgroupPlugin=autodetect\nConstrainCores=yes\nConstrainRAMSpace=yes\nConstrainDevices=yes\n")
    (directory / "plugstack.conf").write_text(plugstack)
    (directory / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *ports)))


def make_devices(directory):
    """NVIDIA's numbers, which no driver here answers for: opening one fails, its absence is another error."""
    (directory / "dev").mkdir()
    for index in range(GPUS_A_NODE):
        path = directory / f"dev/fakegpu{index}"
        os.mknod(path, 0o020666, os.makedev(195, index))
        path.chmod(0o666)
