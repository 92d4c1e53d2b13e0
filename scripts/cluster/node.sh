#!/usr/bin/env bash
# The first process of the node's own network, mounts and process ids: starts every server, with its log in $RUN/log. When
# it ends, the kernel ends all that it has started. The variables are those of node.py.
set -eu
cd "$RUN"
# The kubelet wants a root that is shared; nothing of it reaches the machine.
mount --make-rprivate / && mount --make-rshared /
mount -t proc proc /proc
# Fixed paths, in which a containerd or kubelet of the machine has its own.
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/netns
for folder in /var/lib/kubelet /var/lib/cni /var/log/containers; do
	mkdir -p "$folder"
	mount -t tmpfs tmpfs "$folder"
done
ip link set lo up
# Not through sysctl, which complains of what a kernel lacks. Traffic between pods of one bridge goes by the rules too.
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
until ip link show node0 >/dev/null 2>&1; do sleep 0.1; done
ip address add "$NODE_ADDRESS/30" dev node0
ip link set node0 up
ip route add default via "$HOST_ADDRESS"
iptables --wait --table nat --append POSTROUTING --source "$PODS" ! --destination "$PODS" --out-interface node0 --jump MASQUERADE

start() {
	local name=$1
	shift
	"$@" >"log/$name.log" 2>&1 &
}

export PATH="$DEBIAN/usr/bin:$DEBIAN/usr/sbin:$KUBERNETES:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
start etcd etcd --data-dir "$RUN/etcd" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 \
	--advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 \
	--initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster default=http://127.0.0.1:2380
start containerd containerd --config "$RUN/containerd.toml"
start kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --advertise-address="$NODE_ADDRESS" \
	--bind-address=0.0.0.0 --secure-port=6443 --service-cluster-ip-range="$SERVICES" --allow-privileged=true \
	--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
	--client-ca-file=pki/ca.crt --tls-cert-file=pki/apiserver.crt --tls-private-key-file=pki/apiserver.key \
	--kubelet-client-certificate=pki/admin.crt --kubelet-client-key=pki/admin.key \
	--kubelet-preferred-address-types=InternalIP \
	--service-account-issuer=https://kubernetes.default.svc.cluster.local \
	--service-account-key-file=pki/sa.pub --service-account-signing-key-file=pki/sa.key \
	--requestheader-client-ca-file=pki/ca.crt --requestheader-allowed-names=front-proxy \
	--requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
	--requestheader-extra-headers-prefix=X-Remote-Extra- \
	--proxy-client-cert-file=pki/front-proxy.crt --proxy-client-key-file=pki/front-proxy.key
until "$KUBECTL" --kubeconfig admin.conf get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done
start kube-controller-manager kube-controller-manager --kubeconfig=controller-manager.conf --leader-elect=false \
	--use-service-account-credentials --service-account-private-key-file=pki/sa.key --root-ca-file=pki/ca.crt \
	--cluster-signing-cert-file=pki/ca.crt --cluster-signing-key-file=pki/ca.key \
	--allocate-node-cidrs=true --cluster-cidr="$PODS" --service-cluster-ip-range="$SERVICES" --node-cidr-mask-size=24 \
	--horizontal-pod-autoscaler-sync-period=5s
start kube-scheduler kube-scheduler --kubeconfig=scheduler.conf --leader-elect=false
start kubelet kubelet --config=kubelet.json --kubeconfig=kubelet.conf --root-dir="$RUN/kubelet" \
	--cert-dir="$RUN/kubelet-pki" --hostname-override="$NODE" --node-ip="$NODE_ADDRESS"
start kube-proxy kube-proxy --config=kube-proxy.json
start policies "$PYTHON" "$POLICIES" pki "$NODE_ADDRESS" 6443
# Reaps orphans for as long as the node is there.
while :; do
	wait -n || true
	sleep 1
done
