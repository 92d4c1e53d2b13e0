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
