# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# Sourced by run-compat: the servers behind the proxy, at compat.test, which is
# 192.0.2.10 and 2001:db8::10 there and nothing in the client.
# shellcheck disable=SC2016,SC2034,SC2153,SC2154 # what the other files set and use

site=$T/site
mkdir -p "$site"
hello='hello from the other side'
python=/usr/bin/python3 # Debian's, which has Debian's modules

answers() {
	# shellcheck disable=SC2016
	ip netns exec "$proxy" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2"
}

# serve NAME PORT COMMAND...
serve() {
	local name=$1 port=$2
	shift 2
	start "$name" behind "$@"
	wait_until 20 answers 192.0.2.10 "$port" && return
	fail "$name starts" "$(cat "$T/$name.out" "$T/$name.err")"
	exit 1
}

addresses() {
	ip -n "$proxy" addr add 192.0.2.10/32 dev lo && ip -n "$proxy" addr add 2001:db8::10/128 dev lo nodad &&
		printf '127.0.0.1 localhost\n192.0.2.10 compat.test\n' >"$T/hosts"
}
addresses || exit 1

start_dante() {
	cat >"$T/danted.conf" <<END
logoutput: $T/danted.log
internal: 10.99.0.1 port = 1080
external: 192.0.2.10
external: 2001:db8::10
external.rotation: route
user.privileged: root
user.unprivileged: nobody
clientmethod: none
socksmethod: none
client pass {
 from: 0.0.0.0/0 to: 0.0.0.0/0
}
socks pass {
 from: 0.0.0.0/0 to: 0.0.0.0/0
}
socks pass {
 from: 0.0.0.0/0 to: ::/0
}
END
	start danted behind danted -f "$T/danted.conf" -p "$T/danted.pid.own" -N 2
	wait_until 20 answers 10.99.0.1 1080 && return
	fail 'danted starts' "$(cat "$T/danted.out" "$T/danted.err")"
	exit 1
}

start_web() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=compat.test \
		-addext 'subjectAltName=DNS:compat.test' -keyout "$T/tls.key" -out "$T/tls.crt" 2>/dev/null
	ca=$T/tls.crt
	cat >"$T/nginx.conf" <<END
daemon off;
pid $T/nginx.pid.own;
error_log stderr;
user root;
worker_processes 2;
events { }
http {
	access_log off;
	client_body_temp_path $T/nginx-body;
	proxy_temp_path $T/nginx-proxy;
	fastcgi_temp_path $T/nginx-fastcgi;
	uwsgi_temp_path $T/nginx-uwsgi;
	scgi_temp_path $T/nginx-scgi;
	types { text/html html; application/json json; }
	server {
		listen 80;
		listen [::]:80;
		listen 11371;
		listen 443 ssl http2;
		ssl_certificate $T/tls.crt;
		ssl_certificate_key $T/tls.key;
		root $site;
		autoindex on;
		location = /pks/lookup { alias $site/key.asc; default_type application/pgp-keys; }
		location = /compatpkg { default_type application/json; alias $site/npm.json; }
	}
}
END
	printf 'hello from the other side\n' >"$site/hello"
	printf '<html><title>Compat</title><body>hello from the other side</body></html>\n' >"$site/page.html"
	head -c 3000000 /dev/urandom >"$site/big"
	big=$(sha256sum <"$site/big" | cut -d' ' -f1)
	serve nginx 443 nginx -e stderr -c "$T/nginx.conf"
	serve upload 8080 "$PYTHON" "$LIB/http_target.py" --listen 192.0.2.10:8080
}

start_repositories() {
	git init -q -b main "$T/tree" && cp "$site/hello" "$T/tree" && git -C "$T/tree" add hello &&
		git -C "$T/tree" -c user.name=test -c user.email=test@example.org commit -qm one &&
		git clone -q --bare "$T/tree" "$site/project.git" &&
		git -C "$site/project.git" update-server-info && touch "$site/project.git/git-daemon-export-ok"
	serve git 9418 git daemon --reuseaddr --base-path="$site"
	svnadmin create "$T/svn" && svn -q import -m one "$T/tree/hello" "file://$T/svn/hello"
	serve svn 3690 svnserve -d --foreground -r "$T"
	hg init "$T/hg" && cp "$site/hello" "$T/hg" && hg -q -R "$T/hg" commit -A -u test -m one "$T/hg/hello"
	serve hg 8000 hg serve -R "$T/hg" -p 8000
}

start_shells() {
	ssh-keygen -q -t ed25519 -N '' -f "$T/hostkey" && ssh-keygen -q -t ed25519 -N '' -f "$T/id" &&
		cp "$T/id.pub" "$T/authorized_keys" && mkdir -p /run/sshd
	cat >"$T/sshd_config" <<END
Port 22
HostKey $T/hostkey
AuthorizedKeysFile $T/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PidFile none
Subsystem sftp internal-sftp
END
	cat >"$T/ssh_config" <<END
Host *
  User root
  IdentityFile $T/id
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  BatchMode yes
END
	serve sshd 22 "$(command -v sshd)" -D -e -f "$T/sshd_config"
	printf 'port = 873\nuse chroot = no\n[site]\npath = %s\n' "$site" >"$T/rsyncd.conf"
	serve rsync 873 rsync --daemon --no-detach --config="$T/rsyncd.conf"
	serve ftp 21 "$python" -m pyftpdlib -i 192.0.2.10 -p 21 -d "$site"
	serve line 43 socat tcp-listen:43,fork,reuseaddr 'system:read line; echo "hello from the other side, $line"'
	serve echo 7 socat tcp-listen:7,fork,reuseaddr exec:cat
	start datagrams behind "$PYTHON" "$LIB/udp_target.py" 192.0.2.10 2001:db8::10
	wait_until 15 has_line "$T/datagrams.out" 1 || fail 'datagrams starts' "$(cat "$T/datagrams.err")"
	serve smtp 25 "$python" -W ignore -m smtpd -n -c DebuggingServer 192.0.2.10:25
	serve iperf3 5201 iperf3 -s
}

start_databases() {
	serve redis 6379 redis-server --bind 192.0.2.10 --protected-mode no --save '' --dir "$T"
	serve memcached 11211 memcached -u root -l 192.0.2.10
	printf 'listener 1883 192.0.2.10\nallow_anonymous true\nuser root\n' >"$T/mosquitto.conf"
	serve mosquitto 1883 mosquitto -c "$T/mosquitto.conf"
	local programs
	programs=$(echo /usr/lib/postgresql/*/bin)
	install -d -m 755 -o nobody "$T/postgres"
	chmod 711 "$T"
	setpriv --reuid nobody --clear-groups "$programs/initdb" -D "$T/postgres/data" -U test -A trust >/dev/null &&
		echo 'host all all 0.0.0.0/0 trust' >>"$T/postgres/data/pg_hba.conf"
	serve postgres 5432 setpriv --reuid nobody --clear-groups "$programs/postgres" \
		-D "$T/postgres/data" -k '' -h 192.0.2.10
	install -d -m 755 -o nobody "$T/mariadb"
	setpriv --reuid nobody --clear-groups mariadb-install-db --no-defaults --datadir="$T/mariadb/data" \
		--auth-root-authentication-method=normal --skip-test-db >/dev/null 2>&1
	printf "CREATE USER test@'%%';\n" >"$T/mariadb/init.sql"
	serve mariadb 3306 setpriv --reuid nobody --clear-groups mariadbd --no-defaults \
		--datadir="$T/mariadb/data" --socket="$T/mariadb/socket" --pid-file="$T/mariadb/pid" \
		--bind-address=192.0.2.10 --init-file="$T/mariadb/init.sql" --skip-name-resolve
}

start_dante
start_web
start_repositories
start_shells
start_databases
make_conf p socks5h://10.99.0.1:1080
