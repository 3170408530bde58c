docker run -d --name box -l a=b -e K=V -p 127.0.0.1:8080:80 -v data:/data --health-cmd true --health-interval 1h --restart on-failure:2 -m 64m --cpus 0.5 --cap-add NET_ADMIN --security-opt no-new-privileges --tmpfs /scratch --ulimit nofile=100:200 --sysctl net.core.somaxconn=100 --add-host a:1.2.3.4 --dns 1.1.1.1 -w /tmp -u 1000 busybox sleep 1000
docker create --name idle -t -i --log-opt max-size=1m --network none busybox
docker inspect idle
docker container inspect idle
docker container inspect -s idle
docker inspect -s idle
docker inspect -f '{{.State.Status}}' box idle
docker inspect -f '{{json .Config}}' box
docker inspect -f '{{json .HostConfig}}' box
docker inspect -f '{{json .NetworkSettings.Ports}} {{json .Mounts}}' box
docker inspect -f '{{json .State.Health.Status}}' box
docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.CapAdd}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Ulimits}} {{.HostConfig.Sysctls}} {{.HostConfig.Tmpfs}}' box
docker inspect -f '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}};{{end}}' box
docker inspect -f '{{range $p, $c := .NetworkSettings.Ports}}{{$p}} {{(index $c 0).HostPort}}{{end}}' box
docker inspect -f '{{index .Config.Labels "a"}} {{index .Config.Env 0}}' box
docker inspect -f '{{.Config.Nothing}}' box
docker inspect -f '{{.State.Nothing.More}}' box idle
docker inspect -f '{{json .HostConfig.CpuShares}} {{json .HostConfig.RestartPolicy}} {{json .Config}}' box
docker inspect -f '{{println .Name}}{{.Path}} {{.Args}} {{len .Mounts}}' box
docker inspect -f json idle
docker inspect -f '{{.Id' box
docker inspect -f '{{.Created}} {{.State.StartedAt}}' idle
docker inspect -f '{{.State.Running}} {{not .State.Running}} {{and .State.Running .State.Paused}}' box
docker inspect nothing
docker inspect nothing idle -f '{{.Name}}' other
docker inspect --type container busybox
docker inspect --type image box
docker inspect --type image busybox
docker inspect --type network bridge -f '{{.Name}} {{.Driver}} {{.Scope}}'
docker inspect --type volume data -f '{{.Name}} {{.Driver}}'
docker inspect --type nonsense box
docker inspect data -f '{{.Name}}'
docker inspect bridge -f '{{.Name}}'
docker inspect busybox -f '{{.Os}} {{.Architecture}} {{.RepoTags}} {{.Config.Cmd}}'
docker image inspect busybox
docker image inspect -f '{{json .RootFS.Type}} {{.Size}} {{json .Config}}' busybox
docker image inspect nothing
docker image inspect --platform linux/amd64 -f '{{.Os}}' busybox
docker image inspect --platform nonsense busybox
docker container inspect busybox
docker container inspect nothing idle -f '{{.Name}}'
docker inspect ''
docker inspect --type=volume nothing
