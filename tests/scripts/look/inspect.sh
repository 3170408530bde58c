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
docker inspect ' '
docker inspect -f '{{.Name}}' ' box '
docker container inspect '	'
docker image inspect ''
docker image inspect ' '
docker network inspect ' '
docker volume inspect ' '
docker inspect --type image ''
# Go's types, and its words for what does not fit a verb.
docker inspect -f '{{printf "%T %T %T %T" .ID .State.Pid .State .State.Running}}' box
docker inspect -f '{{printf "%T %T %T %T" .Config.Labels .Config.Env .Config.Cmd .Mounts}}' box
docker inspect -f '{{printf "%T %T %T %T" .HostConfig.Memory .HostConfig.Init .HostConfig.PortBindings .HostConfig.NetworkMode}}' box
docker inspect -f '{{printf "%T %T %T" .HostConfig.ConsoleSize .HostConfig.Ulimits .Config.Healthcheck.Interval}} {{.HostConfig.Memory | printf "%T"}}' box
docker inspect -f '{{printf "%T %T" .Config.Labels.nothing nil}} {{printf "%T %T %T" 1 1.5 "a"}}{{range $k, $v := .Config.Labels}}{{printf "%T%T" $k $v}}{{end}}' box
docker inspect -f '{{printf "%T %T %T %T %T" .Id .State.Pid .State .Mounts .State.Running}}' box
docker inspect -f '{{printf "%v %s %q %x %d %5.2f" .Name .Name .Name .Name .Name .Name}}' box
docker inspect -f '{{printf "%X|% x|%#x|%10s|%-10s|%.2s|%05s" .Name .Name .Name .Name .Name .Name .Name}}' box
docker inspect -f '{{printf "%s|%q|%5.2f|%5d|%-5d|%05d|%+d|%#v" .State.ExitCode .State.ExitCode .State.ExitCode .State.ExitCode .State.ExitCode .State.ExitCode .State.ExitCode .State.ExitCode}}' box
docker inspect -f '{{printf "%v %s %d %q %+v %#v" .HostConfig.RestartPolicy .HostConfig.RestartPolicy .HostConfig.RestartPolicy .HostConfig.RestartPolicy .HostConfig.RestartPolicy .HostConfig.RestartPolicy}}' box
docker inspect -f '{{printf "%q %x %d %10s %#v" .Config.Cmd .Config.Cmd .Config.Cmd .Config.Cmd .Config.Cmd}} {{printf "%q %d %#v" .Config.Labels .Config.Labels .Config.Labels}}' box
docker inspect -f '{{printf "%v %s %d %#v" .HostConfig.PidsLimit .HostConfig.PidsLimit .HostConfig.PidsLimit .HostConfig.PidsLimit}} {{printf "%#v %#v" .HostConfig.CapDrop .HostConfig.ConsoleSize}}' idle
docker inspect -f '{{printf "%v %q %#v" .HostConfig.PortBindings .HostConfig.PortBindings .HostConfig.PortBindings}} {{printf "%v %#v" .Config.ExposedPorts .Config.ExposedPorts}}' box
docker inspect -f '{{printf "%v %s %d %q" .Config.Healthcheck.Interval .Config.Healthcheck.Interval .Config.Healthcheck.Interval .Config.Healthcheck.Interval}} {{printf "%+v" .Config.Healthcheck}} {{printf "%d" .Config.Healthcheck}}' box
docker inspect -f '{{printf "%v %q" .HostConfig.Ulimits .HostConfig.Ulimits}} {{printf "%v %T" (index .HostConfig.Ulimits 0) (index .HostConfig.Ulimits 0)}}' box
docker inspect -f '{{printf "%s %d %x %t" .State.Running .State.Running .State.Running .State.Running}} {{printf "%d"}} {{printf "%d" 1 2}} {{printf "%z" 1}} {{printf "%"}} {{printf "%[3]d" 1}} {{printf "%[2]d" 1 2}}' box
docker inspect -f '{{printf "%e %g %v %08.2f %G %d" 1.5 1500000.0 1234567.0 1.5 0.00001 1.5}} {{printf "%+q %#q %U %c %O %08.3d" "é" "a" 65 65 8 5}}' box
docker inspect -f '{{.Id}} {{.State.ExitCode}} {{json .State.ExitCode}} {{printf "%d %s %v" .State.ExitCode .State.ExitCode .State.ExitCode}}' box
docker inspect -f '{{print .HostConfig.RestartPolicy .Config.Cmd}} {{print 1 2 "a" 3 nil}}{{println .Name .State.ExitCode}}' box
docker inspect -f '{{printf "%T %T %T %T" .ID .Size .Config .Metadata.LastTagTime}} {{printf "%T" .}}' busybox
docker inspect -f '{{printf "%T %T %T %T" .Created .IPAM .Containers .EnableIPv6}} {{printf "%T %+v" . .IPAM}} {{printf "%#v" .IPAM}}' bridge
docker volume inspect -f '{{printf "%T %T %T %T" . .Name .Options .UsageData}} {{printf "%#v" .Options}}' data
docker ps --format '{{printf "%T %s|%6s|%.2s|%d" .Names .Names .Names .Names .Names}} {{printf "%q" (split .Names "o")}}'
