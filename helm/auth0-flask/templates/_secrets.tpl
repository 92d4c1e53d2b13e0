{{/* The names of the Secrets, whoever makes them. */}}
{{- define "auth0-flask.auth0Secret" -}}
{{- if .Values.auth0.existingSecret -}}
{{- .Values.auth0.existingSecret -}}
{{- else -}}
{{- include "auth0-flask.fullname" . }}-auth0
{{- end -}}
{{- end -}}

{{- define "auth0-flask.redisSecret" -}}
{{- if .Values.redis.existingSecret -}}
{{- .Values.redis.existingSecret -}}
{{- else if include "auth0-flask.embeddedRedis" . -}}
{{- include "auth0-flask.fullname" . }}-redis
{{- else -}}
{{- include "auth0-flask.auth0Secret" . -}}
{{- end -}}
{{- end -}}

{{/* The key of Redis' URL; in the Secrets that the chart makes it is always the same. */}}
{{- define "auth0-flask.redisKey" -}}
{{- if .Values.redis.existingSecret -}}{{ .Values.redis.key }}
{{- else if include "auth0-flask.embeddedRedis" . -}}url
{{- else -}}redis-url
{{- end -}}
{{- end -}}

{{- define "auth0-flask.tlsSecret" -}}
{{- if eq .Values.tls.mode "existingSecret" -}}
{{- .Values.tls.existingSecret -}}
{{- else -}}
{{- include "auth0-flask.fullname" . }}-tls
{{- end -}}
{{- end -}}

{{/* "true" or nothing. */}}
{{- define "auth0-flask.embeddedRedis" -}}
{{- if and (eq .Values.session.backend "redis") .Values.redis.embedded.enabled -}}true{{- end -}}
{{- end -}}

{{/* The Secret's data as the cluster has it, or nothing: before the installation, and wherever Helm only renders. */}}
{{- define "auth0-flask.kept" -}}
{{- (lookup "v1" "Secret" .root.Release.Namespace .name).data | default dict | toYaml -}}
{{- end -}}

{{/* Whether a kind of custom resource is rendered: "true" or nothing. Takes mode, api and root. */}}
{{- define "auth0-flask.renders" -}}
{{- if or (eq .mode "always") (and (eq .mode "auto") (.root.Capabilities.APIVersions.Has .api)) -}}true{{- end -}}
{{- end -}}

{{/* The Secret with the authority of Redis' certificate, or nothing. */}}
{{- define "auth0-flask.redisCaSecret" -}}
{{- if eq .Values.session.backend "redis" -}}
{{- if include "auth0-flask.embeddedRedis" . -}}{{ include "auth0-flask.redisSecret" . }}
{{- else -}}{{ .Values.redis.caSecret }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What the app may send to Redis: as in compose, which a test says. */}}
{{- define "auth0-flask.redisCommands" -}}
+ping +info +get +mget +getex +getrange +set +del +expire +pexpire +expireat +eval +zadd +zrem +zscore +zrange +zrangebyscore +hset +hdel +hmget +client|setinfo
{{- end -}}

{{/* What redis_exporter may send: as in compose, which a test says. */}}
{{- define "auth0-flask.redisExporterCommands" -}}
resetchannels -@all +ping +info +slowlog|len +latency|latest
{{- end -}}

{{- define "auth0-flask.redisHost" -}}
{{ include "auth0-flask.fullname" . }}-redis.{{ .Release.Namespace }}.svc
{{- end -}}

{{/*
The data of the embedded Redis' Secret, as the cluster has it or made up. It stays beside the release for the length of a
rendering, since more than one template has to find the same.
*/}}
{{- define "auth0-flask.redisData" -}}
{{- if not (hasKey .Release "auth0-flask.redisData") -}}
{{- $name := printf "%s-redis" (include "auth0-flask.fullname" .) -}}
{{- $kept := include "auth0-flask.kept" (dict "root" . "name" $name) | fromYaml -}}
{{- $host := include "auth0-flask.redisHost" . -}}
{{- $address := printf "rediss://%s:6379" $host -}}
{{- $password := randAlphaNum 48 -}}
{{- $exporters := randAlphaNum 48 -}}
{{- $data := $kept -}}
{{- if $kept.url -}}
{{- $password = regexReplaceAll "^rediss://flask:(.+)@.*$" (b64dec $kept.url) "${1}" -}}
{{- else -}}
{{- $ca := genCAWithKey $name 3650 (genPrivateKey "ecdsa") -}}
{{- $leaf := genSignedCertWithKey $host nil (list $host) 3650 $ca (genPrivateKey "ecdsa") -}}
{{- $data = dict
  "url" (printf "rediss://flask:%s@%s:6379/0" $password $host | b64enc)
  "ca.crt" (b64enc $ca.Cert)
  "redis.pem" (b64enc $leaf.Cert)
  "redis-key.pem" (b64enc $leaf.Key)
-}}
{{- end -}}
{{- with index $kept "exporter.json" -}}
{{- $exporters = index (b64dec . | fromJson) $address -}}
{{- end -}}
{{- /* Not kept: a newer app, and a newer exporter, send other commands. */ -}}
{{- /* Nobody can be the default user; Redis asks what it may write when it reads its file (scripts/stack/prepare.py). */ -}}
{{- $users := list
  "user default off resetchannels ~session:* -@all +@write"
  (printf "user flask on #%s resetchannels ~session:* -@all %s" (sha256sum $password) (include "auth0-flask.redisCommands" .))
  "user probe on nopass resetchannels -@all +ping"
  (printf "user exporter on #%s %s" (sha256sum $exporters) (include "auth0-flask.redisExporterCommands" .))
-}}
{{- $_ := set $data "exporter.json" (dict $address $exporters (printf "rediss://exporter@%s:6379" $host) $exporters | toJson | b64enc) -}}
{{- $_ := set $data "users.acl" (printf "%s\n" (join "\n" $users) | b64enc) -}}
{{- $_ := set .Release "auth0-flask.redisData" (toJson $data) -}}
{{- end -}}
{{- get .Release "auth0-flask.redisData" -}}
{{- end -}}
