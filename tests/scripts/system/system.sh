docker version --format '{{.Server.APIVersion}} {{.Server.Os}} {{.Server.Arch}} {{.Client.Os}} {{.Client.Context}}'
docker version --format '{{range .Server.Components}}{{.Name}} {{end}}'
docker version --format '{{.Nothing}}'
docker version --format '{{.Server'
docker version -f '{{json .Server.Version}} {{json .Server.Os}}'
docker -H unix:///nothing version --format '{{.Client.Os}}'
docker -H unix:///nothing version --format '{{.Server.Os}}'
docker info --format '{{.ServerVersion}} {{.Driver}} {{.OSType}} {{.Architecture}} {{.Containers}} {{.ContainersRunning}} {{.Images}} {{.LoggingDriver}} {{.CgroupDriver}} {{.CgroupVersion}}'
docker info -f '{{json .Plugins}} {{json .Runtimes}} {{.DefaultRuntime}} {{json .RegistryConfig}} {{json .Swarm}}'
docker system info --format '{{.Name}} {{.NCPU}} {{.MemTotal}} {{.OperatingSystem}} {{.KernelVersion}} {{.DockerRootDir}} {{.SecurityOptions}} {{.Warnings}}'
docker info --format '{{.ClientInfo.Context}} {{.ClientInfo.Debug}}'
docker info --format '{{.Nothing}}'
docker info --format '{{.Name'
docker info | sed '1,/^Server:/d' | grep -v -e 'System Time' -e Runtimes
docker -H unix:///nothing info --format '{{.Name}}'
docker -H unix:///nothing info >/dev/null
docker run --name box -d -v named:/data busybox sh -c 'echo x >/made; sleep 1000'
docker create --name idle busybox
until docker exec box test -e /made; do :; done
docker system df
docker system df -v
docker system df --format '{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}'
docker system df --format json
docker system df --format 'table {{.Type}}\t{{.Size}}'
docker system df --format '{{.Nothing}}'
docker system df -v --format '{{json .Volumes}}'
docker system df -v --format '{{range .Images}}{{.Repository}} {{.Size}}{{end}}'
docker --version | cut -d' ' -f1-2
docker -v extra | cut -d' ' -f1-2
docker --log-level nonsense ps
docker --debug ps -q
docker --config here/conf ps -q | wc -l
docker --tlsverify ps
# There is no TLS at a socket of this machine: we say so before any file is read.
~docker --tls -H unix:///nothing ps
docker nothing
docker container nothing
docker ps --help extra | head -1
docker help nothing
docker help ps | head -1
docker help container ps | head -1
docker --nothing
docker -Z
docker --host
