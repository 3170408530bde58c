docker run -d --name box -p 8080:80 -p 127.0.0.1:9090:90/udp -p 7000-7001:7000-7001 busybox sleep 1000
docker port box
docker port box 80
docker container port box 80/tcp
docker port box 90
docker port box 90/udp
docker port box 81
docker port box nonsense
docker port box 80/nonsense
docker port nothing
docker port nothing 80
docker create --name idle -p 80:80 busybox
docker port idle
docker port idle 80
docker run -d --name taken -p 8080:80 busybox sleep 1000
docker run -d -p nonsense busybox
docker run -d -p 1:2:3:4 busybox
docker run -d -p 99999:80 busybox
docker run -d -p 1.2.3.4.5:80:80 busybox
docker run -d -p 80-82:80-81 busybox
docker run -d -p 80/nonsense busybox
docker run -d --expose nonsense busybox
docker run -d --name all --expose 5000-5001 -P busybox sleep 1000
docker port all | wc -l
docker run -d --name open --expose 81/udp busybox sleep 1000
docker ps --format '{{.Names}} {{.Ports}}' -f name=open -f name=box
