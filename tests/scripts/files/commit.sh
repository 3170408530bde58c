docker run --name box busybox sh -c 'echo x >/made'
docker commit box made:1
docker container commit -m 'a message' -a 'An Author' -c 'CMD ["cat", "/made"]' -c 'ENV A=b' box made:2
docker run --rm made:2
docker image inspect -f '{{.Comment}} {{.Author}} {{json .Config.Cmd}} {{json .Config.Env}} {{len .RootFS.Layers}}' made:2
docker commit -p=false box made:3
docker commit --pause=true box
docker commit -c 'NONSENSE' box made:4
docker commit -c 'FROM x' box made:4
docker commit box 'Wrong Name'
docker commit box made:wrong:tag
docker commit nothing made:5
docker commit nothing
docker history --format '{{.CreatedBy}}|{{.Comment}}' made:2
docker images made --format '{{.Tag}}' | sort
docker rm box
docker rmi made:1 made:2
