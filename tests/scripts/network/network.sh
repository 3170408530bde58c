docker network ls
docker network create back
docker network create back
docker network create -d nonsense other
docker network create --subnet 10.90.0.0/24 --gateway 10.90.0.1 --ip-range 10.90.0.128/25 --aux-address a=10.90.0.9 --label a=b -o com.docker.network.bridge.name=br-own --internal --attachable front
docker network create --subnet 10.90.0.0/24 overlapping
docker network create --subnet nonsense x
docker network create --subnet 10.91.0.1/24 --gateway 10.92.0.1 x
docker network create --gateway 10.93.0.1 x
docker network create --ip-range 10.93.0.0/24 x
docker network create --subnet 10.94.0.0/24 --ip-range 10.95.0.0/24 x
docker network create --subnet 10.94.0.0/24 --subnet 10.94.0.0/25 x
docker network create --aux-address nonsense x
docker network create --aux-address a=nonsense --subnet 10.94.0.0/24 x
docker network create 'wrong name'
docker network create ''
docker network create bridge
docker network create host
docker network create -d host another
docker network create --ipam-driver nonsense x
docker network create -o nonsense=1 okay
docker network create --ipv6 --subnet fd00:77::/64 six
docker network create --config-only --subnet 10.96.0.0/24 conf
docker network create --config-from conf from
docker network create --config-from nothing x
docker network create --scope nonsense x
docker network ls --format '{{.Name}} {{.Driver}} {{.Scope}}'
docker network list --no-trunc
docker network ls -q
docker network ls -f driver=bridge --format '{{.Name}}'
docker network ls -f name=front
docker network ls -f label=a=b --format '{{.Name}} {{.Labels}}'
docker network ls -f type=custom --format '{{.Name}}'
docker network ls -f type=nonsense
docker network ls -f scope=local --format '{{.Name}} {{.Internal}} {{.IPv6}} {{.IPv4}}'
docker network ls -f dangling=true --format '{{.Name}}'
docker network ls -f nonsense=1
docker network ls -f wrong
docker network ls --format json -f name=front
docker network ls --format '{{json .}}' -f name=front
docker network ls --format 'table {{.ID}}\t{{.Name}}\t{{.Label "a"}}' -f name=front
docker network ls --format '{{.Nothing}}'
docker network inspect front
docker network inspect bridge -f '{{.Name}} {{.Driver}} {{json .IPAM.Config}} {{json .Options}}'
docker network inspect -v front -f '{{.Id}} {{.Internal}} {{.Attachable}} {{.Labels}}'
docker network inspect nothing
docker network inspect nothing front -f '{{.Name}}'
docker network inspect -f '{{.Nothing}}' front
docker network inspect ''
docker run -d --name box --network back --network-alias store busybox sleep 1000
docker network inspect back -f '{{range .Containers}}{{.Name}} {{end}}'
docker network connect front box
docker network connect front box
docker network connect --ip 10.90.0.200 --alias x front box
docker network connect nothing box
docker network connect front nothing
docker network connect --ip nonsense okay box
docker network connect --ip 1.2.3.4 okay box
docker network connect host box
docker network connect none box
docker network connect --link box:x okay box
docker network connect --driver-opt a=b okay box
docker inspect -f '{{range $n, $e := .NetworkSettings.Networks}}{{$n}} {{$e.IPAddress}};{{end}}' box
docker network disconnect front box
docker network disconnect front box
docker network disconnect nothing box
docker network disconnect front nothing
docker network disconnect -f front nothing
docker network rm back
docker network rm front
docker network rm nothing
docker network remove -f nothing
docker network rm nothing okay other
docker network rm bridge
docker network rm host none
docker rm -f box
docker network prune </dev/null
echo n | docker network prune
docker network prune -f --filter until=1h
docker network prune -f --filter label=a
docker network prune -f --filter nonsense=1
docker network prune -f | sort
docker network ls --format '{{.Name}}'
