docker run -d --name box -m 64m busybox sleep 1000
docker update -m 128m --memory-swap 256m box
docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}' box
docker update --cpus 0.5 box
docker inspect -f '{{.HostConfig.NanoCpus}}' box
docker update --cpu-shares 512 --pids-limit 50 --cpuset-cpus 0 box
docker container update --restart on-failure:3 box
docker inspect -f '{{json .HostConfig.RestartPolicy}} {{.HostConfig.CpuShares}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpusetCpus}}' box
docker update --restart sometimes box
docker update --restart always:3 box
docker update -m x box
docker update -m 1k box
docker update --cpus x box
docker update --cpuset-cpus 77 box
docker update box
docker update nothing
docker update --cpu-shares 5 nothing box
docker update --kernel-memory 5m box
docker update --blkio-weight 500 box
docker update --blkio-weight 5 box
docker update --memory-reservation 32m box
docker update --cpu-period 100000 --cpu-quota 50000 box
docker update -m 16m --memory-swap 8m box
docker kill box
docker update -m 32m --memory-swap 64m box
docker start box
docker update --restart always box
docker create --rm --name brief busybox
docker update --restart always brief
