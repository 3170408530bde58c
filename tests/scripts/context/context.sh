# The default is where our engine is.
env -u DOCKER_HOST docker context ls --format '{{.Name}} {{.Description}} {{.Current}} {{.Error}}'
docker context ls
docker context create one --description 'the first' --docker "host=$DOCKER_HOST"
docker context create one --docker "host=$DOCKER_HOST"
docker context create two --docker host=tcp://127.0.0.1:2375
docker context create three --from one
docker context create four --from nothing
docker context create 'wrong name'
docker context create default
docker context create five --docker nonsense=1
docker context create six --docker host=nonsense
docker context create seven --docker ca=nothing,host=tcp://x:1
docker context create eight
docker context create nine --docker host=ssh://user@host
docker context create
docker context list
docker context ls -q
docker context ls --format '{{.Name}} {{.Description}} {{.Current}} {{.DockerEndpoint}} {{.Error}}'
docker context ls --format json
docker context ls --format '{{json .}}'
docker context ls --format 'table {{.Name}}\t{{.ContextType}}'
docker context ls --format '{{.Nothing}}'
docker context show
docker context use one
env -u DOCKER_HOST docker context use one
env -u DOCKER_HOST docker context show
env -u DOCKER_HOST docker context ls --format '{{.Name}} {{.Description}} {{.Current}} {{.Error}}'
env -u DOCKER_HOST docker ps -q
docker context use nothing
docker context use 'wrong name'
docker --context two context show
docker --context nothing ps
docker --context nothing context ls
DOCKER_CONTEXT=nothing docker context show
env -u DOCKER_HOST DOCKER_CONTEXT=three docker context show
docker context inspect one
docker context inspect
docker context inspect one two -f '{{.Name}} {{.Endpoints.docker.Host}}'
docker context inspect -f '{{.Metadata.Description}}|{{.TLSMaterial}}|{{.Endpoints.docker.SkipTLSVerify}}' one
docker context inspect default -f '{{.Name}}'
docker context inspect nothing
docker context inspect nothing one -f '{{.Name}}'
docker context inspect -f '{{.Nothing}}' one
docker context update one --description 'another'
docker context update one --docker host=tcp://127.0.0.1:1
docker context update one --docker nonsense=1
docker context update default --description x
docker context update nothing --description x
docker context inspect one -f '{{json .}}'
docker context export two
docker context export two
docker context export two file.tar
docker context export two - | tar t
docker context export nothing
docker context export default
docker context import two two.dockercontext
docker context import twin two.dockercontext
docker context import twin2 - <two.dockercontext
docker context import bad nothing
echo nonsense | docker context import bad -
docker context import default two.dockercontext
docker context import 'wrong name' two.dockercontext
docker context inspect twin -f '{{.Name}} {{.Endpoints.docker.Host}}'
docker context rm twin twin2
docker context remove nothing
docker context rm nothing two other
docker context rm -f nothing
env -u DOCKER_HOST docker context rm one
docker context rm default
docker context rm -f default
env -u DOCKER_HOST docker context rm -f one
env -u DOCKER_HOST docker context use default
env -u DOCKER_HOST docker context show
docker -H tcp://127.0.0.1:1 --context one ps
docker -H nonsense://x ps
docker -H tcp://127.0.0.1:1 ps
docker -H unix:///nothing ps
# We have no library of Go's to name its calls.
~DOCKER_HOST=nonsense docker ps
