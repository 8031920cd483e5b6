# Run by csi_sanity_guest_test.py in hack/guest: the CSI driver, and two ports by which the test gets at it: 9000 leads to the
# driver's socket, 9001 to a shell. Ends when there is a file /tmp/end.
#   CORE_ENDPOINTS NFS_SERVER NODE_ADDRESSES
set -eu
mkdir -p /run/shima /kubelet/pods

cat >/job/start-plugin <<END
#!/bin/sh
echo \$\$ >/tmp/plugin.pid
exec shima-csi --endpoint=unix:///run/shima/csi.sock --controller=true --node=true --node-name=guest --site=site-a --core=$1 \
  --nfs-server=$2 --node-addresses=$3 --state-dir=/run/shima/state --publish-root=/kubelet \
  --mounter-endpoint=unix:///run/shima/mounter.sock >>/tmp/csi.log 2>&1
END
chmod +x /job/start-plugin

# No FUSE mount is made here, so there is no access server for the mounter to start.
shima-csi --endpoint=unix:///run/shima/mounter.sock --mounter=true --accessserver=/job/shima-accessserver --site=site-a --core="$1" \
  --state-dir=/run/shima/state --publish-root=/kubelet >/tmp/mounter.log 2>&1 &
until [ -S /run/shima/mounter.sock ]; do sleep 0.1; done
start-plugin &
socat TCP-LISTEN:9000,fork,reuseaddr UNIX-CONNECT:/run/shima/csi.sock &
socat TCP-LISTEN:9001,fork,reuseaddr EXEC:/bin/sh &

until [ -S /run/shima/csi.sock ]; do sleep 0.2; done
echo "the node serves"
until [ -e /tmp/end ]; do sleep 0.2; done
