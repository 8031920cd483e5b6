"""What hack/devcluster is made of; each module is one concern:

plan          which sites, servers, addresses and ports a cluster has, and each server's configuration (no side effects)
state         the cluster's state file and lock
namespaces    entering a network namespace, making and removing those of a cluster
wan           the WAN emulator between the sites: delay, rate, loss, cuts
mounts        FUSE mounts in the kernel's table
processes     starting and ending exactly the processes of a cluster
lifecycle     up, down, start, stop and kill, put together from the above
report        what people and programs get to read
"""


class ClusterError(Exception):
    """Something that the user can react to; the text says what was wanted, what was found and what to do."""
