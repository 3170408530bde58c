docker images
docker image ls
docker image list -a
docker images -q
docker images --no-trunc
docker images --digests
docker tag busybox repo:1
docker tag busybox repo:2
docker image tag busybox host:5000/deep/name:tag
docker images repo
docker images repo:1
docker images 'r*:2'
docker images nothing
docker images --filter reference=repo
docker images --filter reference='*:2' --format '{{.Tag}}'
docker images -f dangling=true
docker images -f dangling=nonsense
docker images -f label=a
docker images -f before=repo:1 -q
docker images -f since=nothing
docker images -f nonsense=1
docker images -f wrong
docker images --format json repo:1
docker images --format '{{json .}}' repo:1
docker images --format '{{.ID}} {{.Repository}} {{.Tag}} {{.Digest}} {{.CreatedSince}} {{.CreatedAt}} {{.Size}} {{.VirtualSize}} {{.SharedSize}} {{.UniqueSize}} {{.Containers}}' repo
docker images --format 'table {{.ID}}\t{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.CreatedSince}}\t{{.CreatedAt}}\t{{.Size}}' repo
docker images --format 'table {{.Nothing}}'
docker images --format '{{.Nothing}}'
docker images --format '{{.ID'
docker images --format raw repo:1
docker images -q --no-trunc repo
docker images one two
docker tag nothing x
docker tag busybox 'Wrong'
docker tag busybox a:b:c
docker tag busybox sha256:abc
docker tag '' x
docker tag busybox ''
docker history busybox
docker image history --no-trunc busybox
docker history -q busybox
docker history -H=false busybox
docker history --format json busybox
docker history --format '{{.ID}} {{.CreatedAt}} {{.CreatedSince}} {{.CreatedBy}} {{.Size}} {{.Comment}}' busybox
docker history --format '{{.Nothing}}' busybox
docker history nothing
docker history --platform linux/amd64 -q busybox
docker history --platform nonsense busybox
docker rmi repo:1
docker rmi nothing
docker rmi -f nothing
docker rmi nothing repo:2 other
docker image rm host:5000/deep/name:tag
docker image remove nothing
docker create --name box busybox
docker rmi busybox
docker tag busybox again
docker rmi $(docker images -q again)
docker rmi --no-prune again
docker rmi -f busybox
docker images -a
docker rm box
docker rmi 'Wrong Name'
# Engines of Docker's answer with a page that is not found.
~docker rmi ''
