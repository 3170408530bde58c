docker run --name box busybox sh -c 'mkdir /new; echo x >/new/file; rm /etc/group; echo y >>/etc/passwd; touch /tmp/a'
docker diff box | sort
docker container diff box | sort
docker diff nothing
docker create --name idle busybox
docker diff idle
docker diff ''
