#!/bin/sh
# Run nginx with the files beside this script. The settings are environment variables (the table is in README.md); this
# script checks them, writes what depends on them into $NGINX_RUN/site and becomes nginx. Arguments go to nginx: -t tests.
# shellcheck disable=SC2016,SC2086 # nginx's variables are not the shell's; the settings are lists of words.
set -euf
umask 077

here=$(cd "$(dirname "$0")" && pwd)
nginx=${NGINX_BINARY:-nginx}
run=${NGINX_RUN:-/tmp/nginx}
problems=
words=

# The variable $1, its default, the pattern of each of its words, an example for the message, how many words at most.
setting() {
	eval ": \"\${$1=\$2}\"; words=\$$1"
	count=0
	for word in $words; do
		count=$((count + 1))
		printf '%s\n' "$word" | grep -Eqx -e "$3" || problem "$1: '$word' is not right; an example is $4"
	done
	[ "$count" -gt 0 ] || [ -z "$2" ] || problem "$1 is empty; an example is $4"
	[ "$count" -le "${5:-1}" ] || problem "$1 has $count values, at most ${5:-1} are right; an example is $4"
}

problem() {
	problems="$problems
  $1"
}

# major.minor.patch as one number: 1.25.1 is 1025001.
number() {
	echo "$1" | { IFS=. read -r major minor patch && echo $((major * 1000000 + minor * 1000 + ${patch:-0})); }
}

certificates() {
	cksum $NGINX_CERTIFICATE $NGINX_CERTIFICATE_KEY 2>&1
}

# Hang up on nginx whenever the certificates are others than $1; ends with it. A pair that is half written is refused by
# nginx, which goes on with the one it has, and the other half is the next change.
watch() {
	while sleep "$NGINX_RELOAD_SECONDS" && kill -0 $$; do
		# Before nginx has written it, the signal would end it.
		[ -s "$run/nginx.pid" ] || continue
		now=$(certificates) || true
		[ "$now" = "$1" ] || kill -HUP $$
		set -- "$now"
	done
}

name='[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?'
address='[0-9.]+|\[[0-9A-Fa-f:.]+\]'
network='([0-9.]+|[0-9A-Fa-f:.]+)(/[0-9]{1,3})?'
path='/[A-Za-z0-9._/@+-]+'
port='[0-9]{1,5}'
# Without IPv6 in the kernel, listening on [::] fails.
if [ -e /proc/net/if_inet6 ]; then every='0.0.0.0 [::]'; else every=0.0.0.0; fi

setting NGINX_UPSTREAM 127.0.0.1:8000 "unix:$path|($address|$name([._]$name)*):$port" 'unix:/run/app/app.sock or app:8000' 32
setting NGINX_SERVER_NAMES localhost "(\*\.)?$name(\.$name)*" app.example.com 100
setting NGINX_REDIRECTED_NAMES '' "(\*\.)?$name(\.$name)*" www.example.com 100
setting NGINX_CERTIFICATE /run/secrets/tls/tls.crt "$path" /run/secrets/tls/tls.crt 2
setting NGINX_CERTIFICATE_KEY /run/secrets/tls/tls.key "$path" /run/secrets/tls/tls.key 2
setting NGINX_LISTEN "$every" "$address" '127.0.0.1 [::1]' 8
setting NGINX_HTTPS_PORT 8443 "$port" 8443
setting NGINX_HTTP_PORT 8080 "$port" 8080
setting NGINX_STATUS_PORT 8081 "$port" 8081
setting NGINX_STATUS_SOCKET '' "$path" /run/status/nginx.sock
setting NGINX_PUBLIC_PORT 443 "$port" 443
setting NGINX_PROXY_PROTOCOL off 'on|off' on
setting NGINX_TRUSTED_PROXIES '' "$network" '10.0.0.0/8 fd00::/8' 256
setting NGINX_WORKERS auto 'auto|[1-9][0-9]{0,2}' 2
setting NGINX_MAX_BODY_BYTES 1048576 '[1-9][0-9]*' 1048576
setting NGINX_CLIENT_TIMEOUT_SECONDS 10 '[1-9][0-9]{0,3}' 10
setting NGINX_UPSTREAM_TIMEOUT_SECONDS 35 '[1-9][0-9]{0,3}' 35
setting NGINX_CLIENT_REQUESTS 128 '[1-9][0-9]{0,4}' 128
setting NGINX_LOGIN_RATE 5r/s '[1-9][0-9]*r/[sm]' 5r/s
setting NGINX_DENIED_CLIENTS '' "$network" '203.0.113.7 2001:db8::/32' 256
setting NGINX_RELOAD_SECONDS 0 '0|[1-9][0-9]{0,4}' 30

# As nginx compares them; `own` is where the others lead.
served=$(printf '%s\n' $NGINX_SERVER_NAMES | tr '[:upper:]' '[:lower:]' | sort -u)
redirected=$(printf '%s\n' $NGINX_REDIRECTED_NAMES | tr '[:upper:]' '[:lower:]' | sort -u)
own=
for word in $NGINX_SERVER_NAMES; do
	own=${own:-$word}
done
case $own in
\**) [ -z "$redirected" ] || problem "NGINX_SERVER_NAMES begins with '$own', and NGINX_REDIRECTED_NAMES cannot lead there; an example is app.example.com" ;;
esac
for word in $redirected; do
	! printf '%s\n' $served | grep -Fqx -e "$word" || problem "NGINX_REDIRECTED_NAMES: '$word' is in NGINX_SERVER_NAMES too; an example is www.example.com"
done

if [ "$NGINX_PROXY_PROTOCOL" = on ] && [ -z "$NGINX_TRUSTED_PROXIES" ]; then
	problem 'NGINX_PROXY_PROTOCOL is on: NGINX_TRUSTED_PROXIES must say whose word counts; an example is 10.0.0.0/8'
fi
[ "$(id -u)" -ne 0 ] || problem 'This is root: start it as another user'
version=$("$nginx" -v 2>&1 | sed -n 's|.*nginx/\([0-9.]*\).*|\1|p')
[ -n "$version" ] || problem "'$nginx' is no nginx that runs here: install nginx 1.22 or newer, or set NGINX_BINARY"
if [ -n "$problems" ]; then
	echo "nginx cannot start:$problems" >&2
	exit 1
fi
version=$(number "$version")
# The library that runs, which may be newer than the one nginx was built with.
openssl=$(number "$("$nginx" -V 2>&1 | sed -n 's|.*OpenSSL \([0-9]*\.[0-9]*\.[0-9]*\).*|\1|p')" || true)

mkdir -p "$run/site" "$run/temporary"
for file in nginx.conf snippets errors; do
	# nginx looks for includes beside its nginx.conf, so that has to stand, as a link, in the folder that can be written.
	ln -sfn "$here/$file" "$run/$file"
done

protocol=
[ "$NGINX_PROXY_PROTOCOL" = off ] || protocol=' proxy_protocol'
# The parameter of listen is deprecated from 1.25.1 on, the directive is unknown before.
if [ "$version" -ge 1025001 ]; then
	http2='http2 on;'
	tls=ssl
else
	http2=
	tls='ssl http2'
fi
groups=X25519:prime256v1:secp384r1
[ "${openssl:-0}" -lt 3005000 ] || groups=X25519MLKEM768:$groups
shown=
[ "$NGINX_PUBLIC_PORT" = 443 ] || shown=:$NGINX_PUBLIC_PORT

{
	echo '# Written by start.sh from the environment.'
	printf '\nupstream app {\n'
	printf '  server %s;\n' $NGINX_UPSTREAM
	# Below the 75 s after which the app closes such a connection, so that it is this side that does.
	printf '  keepalive 32;\n  keepalive_timeout 60s;\n}\n'
	printf '\nupstream app_once {\n'
	printf '  server %s;\n' $NGINX_UPSTREAM
	# From this version on connections are kept unless one says otherwise; before, nobody knows the 0.
	[ "$version" -lt 1029007 ] || printf '  keepalive 0;\n'
	printf '}\n\n'

	printf 'ssl_certificate %s;\n' $NGINX_CERTIFICATE
	printf 'ssl_certificate_key %s;\n' $NGINX_CERTIFICATE_KEY
	echo "ssl_ecdh_curve $groups;"
	[ -z "$http2" ] || echo "$http2"

	echo 'geo $realip_remote_addr $from_trusted_proxy {'
	echo '  default 0;'
	[ -z "$NGINX_TRUSTED_PROXIES" ] || printf '  %s 1;\n' $NGINX_TRUSTED_PROXIES
	echo '}'
	[ -z "$NGINX_TRUSTED_PROXIES" ] || printf 'set_real_ip_from %s;\n' $NGINX_TRUSTED_PROXIES
	[ -z "$protocol" ] && echo 'real_ip_header X-Forwarded-For;' || echo 'real_ip_header proxy_protocol;'
	echo 'real_ip_recursive on;'

	echo "map \$host \$public_port { default $NGINX_PUBLIC_PORT; }"
	# A name that is written counts before one that a * stands for.
	printf 'map $host $redirected {\n  hostnames;\n  default "";\n'
	[ -z "$redirected" ] || { printf '  %s "";\n' $served && printf '  %s yes;\n' $redirected; }
	echo '}'
	echo "map \$redirected \$public_authority { default \$host$shown; yes $own$shown; }"

	echo "client_max_body_size $NGINX_MAX_BODY_BYTES;"
	for directive in client_header_timeout client_body_timeout send_timeout keepalive_timeout; do
		echo "$directive ${NGINX_CLIENT_TIMEOUT_SECONDS}s;"
	done
	for directive in proxy_send_timeout proxy_read_timeout; do
		echo "$directive ${NGINX_UPSTREAM_TIMEOUT_SECONDS}s;"
	done
	echo 'limit_conn_zone $client_network zone=clients:10m;'
	echo "limit_req_zone \$client_network zone=logins:10m rate=$NGINX_LOGIN_RATE;"
	[ -z "$redirected" ] || echo 'include snippets/redirected.conf;'
} >"$run/site/http.conf"
{
	printf "listen %s:$NGINX_HTTP_PORT default_server$protocol;\n" $NGINX_LISTEN
	printf "listen %s:$NGINX_HTTPS_PORT default_server $tls$protocol;\n" $NGINX_LISTEN
} >"$run/site/listen-default.conf"
printf "listen %s:$NGINX_HTTP_PORT$protocol;\n" $NGINX_LISTEN >"$run/site/listen-plain.conf"
printf "listen %s:$NGINX_HTTPS_PORT $tls$protocol;\n" $NGINX_LISTEN >"$run/site/listen-tls.conf"
{
	echo "listen 127.0.0.1:$NGINX_STATUS_PORT;"
	[ -z "$NGINX_STATUS_SOCKET" ] || echo "listen unix:$NGINX_STATUS_SOCKET;"
} >"$run/site/listen-status.conf"
{
	echo "server_name $NGINX_SERVER_NAMES;"
	# Not for the exporter's server, hence not for all.
	echo "limit_conn clients $NGINX_CLIENT_REQUESTS;"
	[ -z "$NGINX_DENIED_CLIENTS" ] || printf 'deny %s;\n' $NGINX_DENIED_CLIENTS
} >"$run/site/server.conf"
{
	[ -z "$redirected" ] || printf 'server_name %s;\n' $redirected
} >"$run/site/redirected.conf"

if [ "$NGINX_RELOAD_SECONDS" -ne 0 ] && [ $# -eq 0 ]; then
	rm -f "$run/nginx.pid"
	# Twice in the background: nginx expects no child but its own.
	(watch "$(certificates)" </dev/null >/dev/null 2>&1 &)
fi

# What a killed nginx left behind would stop the next one; a test (-t) leaves a running one's alone.
[ -z "$NGINX_STATUS_SOCKET" ] || [ $# -gt 0 ] || rm -f "$NGINX_STATUS_SOCKET"

exec "$nginx" -p "$run" -c "$run/nginx.conf" -e stderr -g "daemon off; worker_processes $NGINX_WORKERS;" "$@"
