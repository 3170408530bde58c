docker ps
docker ps -a
docker ps -q
docker run -d --name one -l a=b -l c=d -p 8080:80 -p 9090:90/udp busybox sleep 1000
docker run --name two --network none busybox sh -c 'exit 2'
docker create --name three -v data:/data busybox sleep 'a very long command line that is cut off'
docker ps
docker ps -a
docker container list -a --no-trunc
docker container ps -aq
docker ps -l
docker ps -n 2
docker ps -n 0
docker ps -n -1 -q
docker ps --last x
docker ps -as
docker ps -a --filter status=exited
docker ps -a --filter status=nonsense
docker ps -a -f exited=2
docker ps -a -f exited=x
docker ps -a -f name=t
docker ps -a -f 'name=^/one$'
docker ps -a -f label=a
docker ps -a -f label=a=b -f label=c=x
docker ps -a -f ancestor=busybox -q
docker ps -a -f ancestor=nothing
docker ps -a -f volume=data --format '{{.Names}}'
docker ps -a -f network=none --format '{{.Names}}'
docker ps -a -f before=two --format '{{.Names}}'
docker ps -a -f since=two --format '{{.Names}}'
docker ps -a -f since=nothing
docker ps -a -f publish=80 --format '{{.Names}}'
docker ps -a -f publish=8080-8090/tcp --format '{{.Names}}'
docker ps -a -f expose=80 --format '{{.Names}}'
docker ps -a -f health=none --format '{{.Names}}'
docker ps -a -f is-task=true
docker ps -a -f nonsense=1
docker ps -f wrong
docker ps -a --format json
docker ps -a --format '{{json .}}'
docker ps -a --format table
docker ps -a --format raw
docker ps -a --format 'table {{.ID}}\t{{.Names}}\t{{.Image}}\t{{.Command}}\t{{.CreatedAt}}\t{{.RunningFor}}\t{{.Ports}}\t{{.State}}\t{{.Status}}\t{{.Size}}\t{{.Labels}}\t{{.Mounts}}\t{{.LocalVolumes}}\t{{.Networks}}'
docker ps -a --format 'table {{.Label "a"}}\t{{.Names}}'
docker ps -a --format '{{.Label "a"}} {{.Platform}}'
docker ps -a --format '{{.ID}} {{.Names}} {{.Ports}} {{.Mounts}} {{.LocalVolumes}} {{.Networks}}'
docker ps -a --format '{{.Nothing}}'
docker ps -a --format '{{.Names'
docker ps -a --format '{{nothing .Names}}'
docker ps -a --format '{{upper .Names}} {{lower .Image}} {{len .Names}} {{printf "%q %5s|%-8s|" .Names .State .Image}}'
docker ps -a --format '{{range $i, $p := (split .Names "o")}}{{$i}}{{$p}} {{end}}'
docker ps -a --format '{{if eq .State "running"}}up {{.Names}}{{else}}down {{.Names}}{{end}}'
docker ps -a --format '{{title .State}} {{pad .Names 1 2}}| {{truncate .Image 3}} {{join (split .Names "") "-"}}'
docker ps -a --no-trunc --format '{{.ID}} {{.Command}} {{.Mounts}}'
docker ps -a --format '{{printf "%v %T" .Names .Names}}'
docker ps -a extra
