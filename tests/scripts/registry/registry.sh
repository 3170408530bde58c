docker login -u me -p secret 127.0.0.1:1
echo secret | docker login -u me --password-stdin 127.0.0.1:1
docker login -u me --password-stdin 127.0.0.1:1 </dev/null
docker login --password-stdin 127.0.0.1:1 </dev/null
docker login -u me -p secret --password-stdin 127.0.0.1:1
docker login 127.0.0.1:1 </dev/null
docker login -u me 127.0.0.1:1 </dev/null
docker login -u '' -p x 127.0.0.1:1
docker logout 127.0.0.1:1
docker logout
docker login a b
docker logout a b
docker pull 127.0.0.1:1/a/b:c
docker pull -q 127.0.0.1:1/a/b
docker pull -a 127.0.0.1:1/a/b
docker pull -a 127.0.0.1:1/a/b:c
docker image pull 127.0.0.1:1/a/b@sha256:wrong
docker pull 'Wrong'
docker pull ''
docker pull --platform nonsense 127.0.0.1:1/a
docker pull --platform linux/arm64 127.0.0.1:1/a
docker tag busybox 127.0.0.1:1/a/b:c
docker push 127.0.0.1:1/a/b:c
docker push -q 127.0.0.1:1/a/b:c
docker image push -a 127.0.0.1:1/a/b
docker push -a 127.0.0.1:1/a/b:c
docker push 127.0.0.1:1/nothing
docker push nothing:1
docker push 'Wrong'
# Docker explains itself at length; and what it says of a platform that is none lacks a blank.
~docker push --platform linux/arm64 127.0.0.1:1/a/b:c
~docker push --platform nonsense 127.0.0.1:1/a/b:c
docker search 127.0.0.1:1/term
docker search --limit 500 127.0.0.1:1/term
docker search --filter nonsense=1 127.0.0.1:1/term
docker search --filter wrong 127.0.0.1:1/term
docker search --no-trunc --format '{{.Name}}' 127.0.0.1:1/term
# Our engine asks the registry, theirs the client: the words of the failure are another's.
~docker manifest inspect 127.0.0.1:1/a:b
~docker manifest inspect -v --insecure 127.0.0.1:1/a:b
docker manifest inspect 'Wrong'
~docker manifest create 127.0.0.1:1/list:1 127.0.0.1:1/a:b
docker manifest create 127.0.0.1:1/list:1
docker manifest annotate 127.0.0.1:1/list:1 127.0.0.1:1/a:b --os linux
docker manifest annotate 127.0.0.1:1/list:1 127.0.0.1:1/a:b
docker manifest push 127.0.0.1:1/list:1
docker manifest rm 127.0.0.1:1/list:1
docker manifest rm 'Wrong'
