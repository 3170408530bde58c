docker run --rm busybox echo hi
docker run --rm busybox sh -c 'echo out; echo err >&2; exit 7'
docker run --rm busybox no-such-program
docker run --rm busybox /etc
docker run --rm busybox /etc/passwd
echo word | docker run --rm -i busybox cat
echo word | docker run --rm busybox cat
docker container run --name box -d busybox sleep 1000
docker run --name box busybox true
docker run --rm --name 'wrong name' busybox true
docker run -it --rm busybox true
docker run -t --rm busybox echo x
docker run --rm -d --name brief busybox sleep 1000
docker run --rm --pull never nothing:1
docker run --rm nothing/nothing@sha256:wrong
docker run --rm UPPER
docker run --rm -e A=b -e C --env D= busybox sh -c 'env | sort | grep -v HOSTNAME'
printf 'A=b\n#x\nC=d e\n' >env; docker run --rm --env-file env busybox sh -c 'echo $A $C'
docker run --rm --env-file nothing busybox true
docker run --rm -w /tmp busybox pwd
docker run --rm -w relative busybox pwd
docker run --rm -u alice busybox id
docker run --rm -u 5:6 busybox id
docker run --rm -u nobody-here busybox id
docker run --rm -u alice:nogroup-here busybox id
docker run --rm -h host --domainname example.org busybox hostname
docker run --rm --entrypoint echo busybox a b
docker run --rm --entrypoint '' busybox echo x
docker run --rm --entrypoint '' busybox
docker run --rm --read-only busybox touch /x
docker run --rm --tmpfs /scratch:size=1m busybox sh -c 'grep scratch /proc/mounts | cut -d" " -f1-3'
docker run --rm -v /nothing-here:relative busybox true
docker run --rm -v 'bad name:/x' busybox true
docker run --rm -v a:b:c:d busybox true
docker run --rm -v /:/ busybox true
docker run --rm --mount type=bind,source=/nothing-here,target=/x busybox true
docker run --rm --mount type=nonsense,target=/x busybox true
docker run --rm --mount type=volume busybox true
docker run --rm --mount type=tmpfs,target=/x,nonsense=1 busybox true
docker run --rm --mount wrong busybox true
docker run --rm -m 4m busybox true
docker run --rm -m 1k busybox true
docker run --rm -m nonsense busybox true
docker run --rm --cpus 1000 busybox true
docker run --rm --cpus -1 busybox true
docker run --rm --cpuset-cpus 99 busybox true
docker run --rm --cpu-shares x busybox true
docker run --rm --memory-swappiness 101 busybox true
docker run --rm --shm-size 1m busybox sh -c 'df -k /dev/shm | tail -1 | awk "{print \$2}"'
docker run --rm --ulimit nofile=10:20 busybox sh -c 'ulimit -n; ulimit -Hn'
docker run --rm --ulimit nofile=20:10 busybox true
docker run --rm --ulimit nonsense=1 busybox true
docker run --rm --pids-limit x busybox true
docker run --rm --cap-add nonsense busybox true
docker run --rm --cap-drop all --cap-add net_admin busybox grep CapEff /proc/self/status
docker create --name capable --cap-add net_admin --cap-add CAP_chown --cap-drop MKNOD --cap-drop mknod busybox
docker inspect -f '{{json .HostConfig.CapAdd}} {{json .HostConfig.CapDrop}}' capable
docker create --name able --cap-add all --cap-drop ALL --cap-add net_admin busybox
docker inspect -f '{{json .HostConfig.CapAdd}} {{json .HostConfig.CapDrop}}' able
docker run --rm --security-opt nonsense busybox true
docker run --rm --security-opt seccomp=nothing busybox true
docker run --rm --device /dev/null:/dev/zero2 busybox ls /dev/zero2
docker run --rm --device /dev/nothing-here busybox true
docker run --rm --device nonsense:x:y:z busybox true
docker run --rm --sysctl nonsense=1 busybox true
docker run --rm --sysctl net.core.somaxconn=77 busybox cat /proc/sys/net/core/somaxconn
docker run --rm --restart always busybox true
docker run --rm --restart nonsense busybox true
docker run --restart on-failure:x busybox true
docker run --rm --log-driver nonsense busybox true
docker run --rm --network nonsense busybox true
docker run --rm --network host -p 80:80 busybox true
docker run --rm --network host --ip 1.2.3.4 busybox true
docker run --rm --network container:nothing busybox true
docker run --rm --network container:box -p 80:80 busybox true
docker run --rm --network container:box -h x busybox true
docker run --rm --network none busybox ls /sys/class/net
docker run --rm --add-host a:1.2.3.4 busybox grep 1.2.3.4 /etc/hosts
docker run --rm --add-host nonsense busybox true
docker run --rm --dns 9.9.9.9 --dns-search x.y --dns-option ndots:3 busybox cat /etc/resolv.conf
docker run --rm --dns nonsense busybox true
docker run --rm --mac-address nonsense busybox true
docker run --rm --mac-address 02:42:ac:11:00:99 busybox cat /sys/class/net/eth0/address
docker run --rm --ip 1.2.3.4 busybox true
docker run --rm --link nothing busybox true
docker run --rm --pid nonsense busybox true
docker run --rm --pid container:nothing busybox true
docker run --rm --ipc nonsense busybox true
docker run --rm --uts nonsense busybox true
docker run --rm --userns nonsense busybox true
docker run --rm --cgroupns nonsense busybox true
docker run --rm --platform nonsense busybox true
docker run --rm --platform linux/arm64 busybox true
docker run --rm --runtime nonsense busybox true
docker run --rm --isolation nonsense busybox true
docker run --rm --stop-signal nonsense busybox true
docker run --rm --gpus all busybox true
docker run --rm --volumes-from nothing busybox true
docker run --rm --volumes-from box:nonsense busybox true
# Docker's client takes a plugin that an older engine does not find for an image.
~docker run --rm --volume-driver nonsense -v x:/x busybox true
docker run --rm --health-interval -1s busybox true
docker run --rm --health-cmd true --no-healthcheck busybox true
docker run --rm --label-file nothing busybox true
docker run --rm -l '' busybox true
docker run --rm --group-add nonsense busybox id
docker run --rm --group-add 77 busybox id -G
docker run --rm --privileged busybox sh -c 'grep CapEff /proc/self/status'
docker run --rm --init busybox sh -c 'cat /proc/1/comm | wc -l'
docker run --rm --oom-score-adj 2000 busybox true
docker run --rm --blkio-weight 5 busybox true
docker run --rm --storage-opt nonsense busybox true
docker run --rm --storage-opt size=nonsense busybox true
docker run --rm -a stdout busybox sh -c 'echo out; echo err >&2'
docker run --rm -a stderr busybox sh -c 'echo out; echo err >&2'
docker run --rm -a nonsense busybox true
docker run --rm -d -a stdout busybox true
docker run -d --rm --detach-keys nonsense busybox true
docker run --cidfile id --rm busybox true; wc -c id
docker run --cidfile id --rm busybox true
docker run --sig-proxy=false --rm busybox true
docker run --kernel-memory 5m --rm busybox true
docker run --memory-swap 1m -m 5m --rm busybox true
docker run --oom-kill-disable --rm busybox true
docker run --annotation a=b --rm busybox true
docker run --annotation nonsense --rm busybox true
