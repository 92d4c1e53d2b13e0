{{/*
What cannot work, each as a sentence that says what to write. All at once, before anything reaches the cluster.
*/}}
{{- define "auth0-flask.refusals" -}}
{{- $v := .Values -}}
{{- $no := include "auth0-flask.forms" . | fromJsonArray -}}
{{- $name := include "auth0-flask.fullname" . -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name) -}}
{{- $no = append $no (printf "the release's objects would be called %s, as no Service may be: write fullnameOverride, with small letters, digits and hyphens, and a letter first" $name) -}}
{{- end -}}
{{- range $where, $labels := dict "commonLabels" $v.commonLabels "podLabels" $v.podLabels -}}
{{- range $label, $_ := $labels -}}
{{- if or (regexMatch "^app[.]kubernetes[.]io/(name|instance|component|version|part-of|managed-by)$" $label) (has $label (list "helm.sh/chart" "pod-template-hash")) -}}
{{- $no = append $no (printf "%s has %s, which the chart or Kubernetes sets and finds pods by: remove it" $where $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $label, $_ := $v.podLabels -}}
{{- if hasKey (default dict $v.commonLabels) $label -}}
{{- $no = append $no (printf "podLabels and commonLabels both have %s: keep one" $label) -}}
{{- end -}}
{{- end -}}
{{- range $annotation, $_ := $v.podAnnotations -}}
{{- if or (hasPrefix "checksum/" $annotation) (eq $annotation "kubectl.kubernetes.io/default-container") -}}
{{- $no = append $no (printf "podAnnotations has %s, which the chart sets: remove it" $annotation) -}}
{{- end -}}
{{- end -}}
{{- if hasKey (default dict $v.commonAnnotations) "helm.sh/hook" -}}
{{- $no = append $no "commonAnnotations has helm.sh/hook, which would make every object one that Helm runs and forgets: remove it" -}}
{{- end -}}
{{- $images := dict "nginx.image" $v.nginx.image -}}
{{- if include "auth0-flask.embeddedRedis" . -}}{{- $_ := set $images "redis.embedded.image" $v.redis.embedded.image -}}{{- end -}}
{{- range $exporter := list "nginx" "certificate" "redis" -}}
{{- with index $v.metrics $exporter -}}{{- if .enabled -}}{{- $_ := set $images (printf "metrics.%s.image" $exporter) .image -}}{{- end -}}{{- end -}}
{{- end -}}
{{- range $path, $image := $images -}}
{{- if not (or $image.tag $image.digest) -}}
{{- $no = append $no (printf "%s.tag is empty, and no image of another project has the app's version: write %s.tag or %s.digest" $path $path $path) -}}
{{- end -}}
{{- end -}}

{{- if not $v.auth0.domain -}}
{{- $no = append $no "auth0.domain is missing: write your tenant's domain, such as my-tenant.us.auth0.com" -}}
{{- end -}}

{{- $sources := list -}}
{{- if $v.auth0.existingSecret -}}{{- $sources = append $sources "auth0.existingSecret" -}}{{- end -}}
{{- if $v.externalSecret.enabled -}}{{- $sources = append $sources "externalSecret.enabled" -}}{{- end -}}
{{- if $v.auth0.createSecret.enabled -}}{{- $sources = append $sources "auth0.createSecret.enabled" -}}{{- end -}}
{{- if not $sources -}}
{{- $no = append $no "auth0.existingSecret is missing: make a Secret with the client's ID and secret and the sessions' secret, and write its name" -}}
{{- else if gt (len $sources) 1 -}}
{{- $no = append $no (printf "%s are set: the client's secrets come from one of them, keep one" (join " and " $sources)) -}}
{{- end -}}
{{- range $path, $secret := dict "auth0.existingSecret" (list "auth0" $v.auth0.existingSecret) "redis.existingSecret" (list "redis" $v.redis.existingSecret) "tls.existingSecret" (list "tls" $v.tls.existingSecret) -}}
{{- if eq (last $secret) (printf "%s-%s" $name (first $secret)) -}}
{{- $owner := dig "metadata" "annotations" "meta.helm.sh/release-name" "" (lookup "v1" "Secret" $.Release.Namespace (last $secret)) -}}
{{- if eq $owner $.Release.Name -}}
{{- $no = append $no (printf "%s is %s, which this release has made itself and would now take away: copy it, and write the copy's name" $path (last $secret)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $v.auth0.createSecret -}}
{{- if .enabled -}}
{{- if not (and .clientId .clientSecret) -}}
{{- $no = append $no "auth0.createSecret.clientId and auth0.createSecret.clientSecret are needed with auth0.createSecret.enabled" -}}
{{- end -}}
{{- else if or .clientId .clientSecret .secret -}}
{{- $no = append $no "auth0.createSecret has a secret in plain values, which the release's history keeps: put it into a Secret and write its name in auth0.existingSecret; for a trial, write auth0.createSecret.enabled=true" -}}
{{- end -}}
{{- end -}}
{{- if $v.externalSecret.enabled -}}
{{- if not $v.externalSecret.storeRef.name -}}
{{- $no = append $no "externalSecret.storeRef.name is missing: write the name of the SecretStore" -}}
{{- end -}}
{{- range $name := ternary (list "clientId" "clientSecret" "secret" "redisUrl") (list "clientId" "clientSecret" "secret") (not (empty $v.externalSecret.redisUrl)) -}}
{{- if not (dig $name "key" "" $v.externalSecret) -}}
{{- $no = append $no (printf "externalSecret.%s.key is missing: write where it is in the store" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- with $v.auth0.keys -}}
{{- $secret := ternary .clientSecret "" (and (empty .assertionKey) (empty .certificate)) -}}
{{- $keys := compact (list .clientId $secret .assertionKey .certificate .certificateKey .proxyUrl .secret) -}}
{{- range uniq $keys -}}
{{- if gt (sub (len $keys) (without $keys . | len)) 1 -}}
{{- $no = append $no (printf "%s is more than one of auth0.keys: each is in the Secret under a key of its own" .) -}}
{{- end -}}
{{- end -}}
{{- if ne (empty .certificate) (empty .certificateKey) -}}
{{- $no = append $no "auth0.keys.certificate and auth0.keys.certificateKey belong together: write both" -}}
{{- end -}}
{{- if and .certificate .assertionKey -}}
{{- $no = append $no "auth0.keys.certificate and auth0.keys.assertionKey are set: the client authenticates in one way, keep one" -}}
{{- end -}}
{{- if and .assertionKey $v.auth0.createSecret.enabled -}}
{{- $no = append $no "auth0.keys.assertionKey is a key of a Secret of yours, and auth0.createSecret makes none: put the private key into a Secret, and write its name in auth0.existingSecret" -}}
{{- end -}}
{{- if and (or .certificate .proxyUrl) (not $v.auth0.existingSecret) -}}
{{- $no = append $no "auth0.keys.certificate and auth0.keys.proxyUrl are keys of a Secret of yours: make it, and write its name in auth0.existingSecret" -}}
{{- end -}}
{{- end -}}

{{- $files := list "AUTH0_CLIENT_SECRET" "AUTH0_CLIENT_ASSERTION_KEY" "AUTH0_SECRET" "REDIS_URL" -}}
{{- /* Their files may be of a volume of one's own. */}}
{{- $values := list "AUTH0_PROXY_URL" "OTEL_EXPORTER_OTLP_HEADERS" -}}
{{- $given := include "auth0-flask.settings" . | fromYaml -}}
{{- range $v.extraEnv -}}
{{- if hasKey $given .name -}}
{{- $no = append $no (printf "extraEnv has %s, which is set already, by the chart, by settings or by another entry: keep one" .name) -}}
{{- end -}}
{{- $_ := set $given .name "" -}}
{{- if has .name $values -}}
{{- $no = append $no (printf "extraEnv has %s, which may hold a password: mount it by extraVolumes, and write its path in extraEnv as %s_FILE" .name .name) -}}
{{- else if has (trimSuffix "_FILE" .name) $files -}}
{{- $no = append $no (printf "extraEnv has %s: secrets are mounted as files; see auth0.existingSecret and redis.existingSecret" .name) -}}
{{- end -}}
{{- end -}}

{{- $volumes := list "auth0" "redis" "redis-ca" "tls" "nginx" "blackbox" "socket" "nginx-tmp" "tmp" -}}
{{- range $v.extraVolumes -}}
{{- if has .name $volumes -}}
{{- $no = append $no (printf "extraVolumes has %s, which the chart or another entry has already: write another name" .name) -}}
{{- end -}}
{{- $volumes = append $volumes .name -}}
{{- end -}}
{{- $paths := list "/run/secrets/auth0" "/run/secrets/redis" "/run/secrets/redis-ca" "/run/app" "/tmp" -}}
{{- range $v.extraVolumeMounts -}}
{{- if not (has .name $volumes) -}}
{{- $no = append $no (printf "extraVolumeMounts has %s, which is no volume: add one of this name to extraVolumes" .name) -}}
{{- end -}}
{{- if has (trimSuffix "/" .mountPath) $paths -}}
{{- $no = append $no (printf "extraVolumeMounts has %s, where the chart or another entry mounts something: write another path" .mountPath) -}}
{{- end -}}
{{- $paths = append $paths (trimSuffix "/" .mountPath) -}}
{{- end -}}

{{- if eq $v.session.backend "redis" -}}
{{- $from := list -}}
{{- if $v.redis.embedded.enabled -}}{{- $from = append $from "redis.embedded.enabled" -}}{{- end -}}
{{- if $v.redis.existingSecret -}}{{- $from = append $from "redis.existingSecret" -}}{{- end -}}
{{- if and $v.externalSecret.enabled $v.externalSecret.redisUrl -}}{{- $from = append $from "externalSecret.redisUrl" -}}{{- end -}}
{{- if not $from -}}
{{- $no = append $no "Redis is missing: write redis.existingSecret, or redis.embedded.enabled=true for a trial, or session.backend=cookie" -}}
{{- else if gt (len $from) 1 -}}
{{- $no = append $no (printf "%s are set: Redis is one of them; with one of your own write redis.embedded.enabled=false" (join " and " $from)) -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled (not $v.redis.embedded.enabled) (not $v.networkPolicy.redis) -}}
{{- $no = append $no "networkPolicy.redis is missing: write where Redis is, as peers of a NetworkPolicy, such as [{ipBlock: {cidr: 10.1.2.3/32}}]" -}}
{{- end -}}
{{- else if $v.redis.existingSecret -}}
{{- $no = append $no "redis.existingSecret is set, but session.backend is cookie: remove one of the two" -}}
{{- end -}}

{{- if include "auth0-flask.embeddedRedis" . -}}
{{- $no = concat $no (include "auth0-flask.volumeProblems" . | fromJsonArray) -}}
{{- end -}}

{{- if and $v.tracing.endpoint $v.networkPolicy.enabled (not $v.networkPolicy.collector) -}}
{{- $no = append $no "networkPolicy.collector is missing: write where the collector of traces is, as peers of a NetworkPolicy, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" -}}
{{- end -}}

{{- if and (eq $v.tls.mode "existingSecret") (not $v.tls.existingSecret) -}}
{{- $no = append $no "tls.existingSecret is missing: write the name of a Secret of type kubernetes.io/tls" -}}
{{- end -}}
{{- if and (ne $v.tls.mode "existingSecret") $v.tls.existingSecret -}}
{{- $no = append $no (printf "tls.existingSecret is set, but tls.mode is %s: write tls.mode=existingSecret" $v.tls.mode) -}}
{{- end -}}
{{- if and (eq $v.tls.mode "certManager") (not $v.tls.certManager.issuerRef.name) -}}
{{- $no = append $no "tls.certManager.issuerRef.name is missing: write the name of the issuer" -}}
{{- end -}}
{{- if and (eq $v.tls.mode "certManager") (eq $v.host "localhost") -}}
{{- $no = append $no "host is localhost, for which no issuer gives a certificate: write the app's public name" -}}
{{- end -}}

{{- $type := $v.expose.type -}}
{{- if and (ne $type "ClusterIP") (eq $v.host "localhost") -}}
{{- $no = append $no (printf "host is localhost, which expose.type %s cannot make known: write the app's public name" $type) -}}
{{- end -}}
{{- if eq (include "auth0-flask.publicPort" .) "80" -}}
{{- $no = append $no "publicPort is 80, where browsers and the Service have plain HTTP: write 443, or another port" -}}
{{- end -}}
{{- $passes := or (has $type (list "LoadBalancer" "TLSRoute")) (and (eq $type "Ingress") (eq $v.expose.ingress.mode "passthrough")) -}}
{{- $ends := or (eq $type "HTTPRoute") (and (eq $type "Ingress") (eq $v.expose.ingress.mode "reencrypt")) -}}
{{- if and $passes $v.expose.trustedProxies (not $v.expose.proxyProtocol) -}}
{{- $no = append $no (printf "expose.trustedProxies is set, but expose.type %s hands TLS through unread, so nobody trustworthy writes X-Forwarded-For: write expose.proxyProtocol=true if the proxy speaks it, or remove the networks" $type) -}}
{{- end -}}
{{- if and $v.expose.proxyProtocol (not $v.expose.trustedProxies) -}}
{{- $no = append $no "expose.proxyProtocol is true, so expose.trustedProxies must say whose word counts, such as [10.0.0.0/8]" -}}
{{- end -}}
{{- if $ends -}}
{{- if $v.expose.proxyProtocol -}}
{{- $no = append $no (printf "expose.proxyProtocol is true, but expose.type %s speaks HTTP to nginx: write expose.proxyProtocol=false" $type) -}}
{{- end -}}
{{- if not $v.expose.trustedProxies -}}
{{- $no = append $no (printf "expose.trustedProxies is missing: with expose.type %s every request comes from the proxy, whose limits would be everybody's; write the networks of its pods" $type) -}}
{{- end -}}
{{- end -}}
{{- if and (has $type (list "HTTPRoute" "TLSRoute")) (not $v.expose.gateway.parentRefs) -}}
{{- $no = append $no "expose.gateway.parentRefs is missing: write the Gateway, such as [{name: public, namespace: gateways}]" -}}
{{- end -}}
{{- if and (eq $type "Ingress") (eq $v.expose.ingress.mode "reencrypt") (not $v.expose.ingress.tlsSecret) -}}
{{- $no = append $no "expose.ingress.tlsSecret is missing: write the Secret with the certificate that the controller shows" -}}
{{- end -}}
{{- if and (has $type (list "Ingress" "HTTPRoute" "TLSRoute")) $v.networkPolicy.enabled (not $v.networkPolicy.clients) -}}
{{- $no = append $no (printf "networkPolicy.clients is missing: with expose.type %s write where the proxy's pods are, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: gateways}}}]" $type) -}}
{{- end -}}

{{- if and $v.metrics.certificate.enabled $v.expose.proxyProtocol -}}
{{- $no = append $no "metrics.certificate.enabled is true, but nobody can look at nginx' certificate from inside the pod with expose.proxyProtocol: write metrics.certificate.enabled=false, and watch the certificate from outside" -}}
{{- end -}}
{{- if and $v.metrics.redis.enabled (not (include "auth0-flask.embeddedRedis" .)) -}}
{{- $no = append $no "metrics.redis.enabled is for the embedded Redis: write metrics.redis.enabled=false, and run an exporter beside your own" -}}
{{- end -}}

{{- with $v.shutdown -}}
{{- $least := add .announceSeconds .handOverSeconds .graceSeconds 5 | int -}}
{{- if lt (int .terminationGracePeriodSeconds) $least -}}
{{- $no = append $no (printf "shutdown.terminationGracePeriodSeconds is %d, but announcing, handing over and finishing requests take up to %d: write %d or more" (int .terminationGracePeriodSeconds) $least $least) -}}
{{- end -}}
{{- end -}}

{{- if and $v.podDisruptionBudget.enabled (regexMatch "^0+%?$" (toString $v.podDisruptionBudget.maxUnavailable)) -}}
{{- $no = append $no "podDisruptionBudget.maxUnavailable is 0, so a node's drain would wait for ever: write 1, or podDisruptionBudget.enabled=false" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- $no = append $no (printf "autoscaling.minReplicas is above autoscaling.maxReplicas, which is %d: write that or less" (int $v.autoscaling.maxReplicas)) -}}
{{- end -}}
{{- $cpu := or (dig "requests" "cpu" "" $v.server.resources) (dig "limits" "cpu" "" $v.server.resources) -}}
{{- if and $v.autoscaling.enabled (not $cpu) -}}
{{- $no = append $no "server.resources.requests.cpu is missing: the autoscaler aims at a share of it (autoscaling.targetCPU)" -}}
{{- end -}}

{{- if $no -}}
{{- fail (printf "\n\nThese values cannot be installed:\n  - %s\n" (join "\n  - " $no)) -}}
{{- end -}}
{{- end -}}
