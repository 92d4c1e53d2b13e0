{{/*
What is not well formed in itself, which Kubernetes would refuse in the middle of an installation, nginx and the app at their
start, or nobody. An array of sentences for _refusals.tpl.
*/}}
{{- define "auth0-flask.forms" -}}
{{- $v := .Values -}}
{{- $no := list -}}

{{- range $path, $names := dict "host" (list $v.host) "nginx.extraServerNames" $v.nginx.extraServerNames -}}
{{- range default list $names -}}
{{- with include "auth0-flask.nameProblem" (ternary . (trimPrefix "*." .) (eq $path "host")) -}}
{{- $no = append $no (printf "%s %s" (ternary "host is" (print $path " has") (eq $path "host")) .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if has $v.host (default list $v.nginx.extraServerNames) -}}
{{- $no = append $no (printf "nginx.extraServerNames has %s, which is host: write names that lead there, or none" $v.host) -}}
{{- end -}}
{{- if not (regexMatch "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?)?$" $v.auth0.domain) -}}
{{- $no = append $no (printf "auth0.domain is %s: write the domain alone, without https:// and without a path, in small letters, such as my-tenant.us.auth0.com" $v.auth0.domain) -}}
{{- end -}}

{{- $objects := dict
  "auth0.existingSecret" $v.auth0.existingSecret
  "redis.existingSecret" $v.redis.existingSecret
  "redis.caSecret" $v.redis.caSecret
  "redis.embedded.persistence.storageClass" $v.redis.embedded.persistence.storageClass
  "externalSecret.storeRef.name" $v.externalSecret.storeRef.name
  "tls.existingSecret" $v.tls.existingSecret
  "tls.certManager.issuerRef.name" $v.tls.certManager.issuerRef.name
  "expose.ingress.className" $v.expose.ingress.className
  "expose.ingress.tlsSecret" $v.expose.ingress.tlsSecret
  "expose.gateway.caConfigMap" $v.expose.gateway.caConfigMap
  "priorityClassName" $v.priorityClassName
  "serviceAccount.name" $v.serviceAccount.name
-}}
{{- range $index, $secret := $v.imagePullSecrets -}}{{- $_ := set $objects (printf "imagePullSecrets[%d].name" $index) $secret.name -}}{{- end -}}
{{- range $index, $parent := $v.expose.gateway.parentRefs -}}{{- $_ := set $objects (printf "expose.gateway.parentRefs[%d].name" $index) $parent.name -}}{{- end -}}
{{- range $path, $name := $objects -}}
{{- if and $name (not (regexMatch "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$" $name)) -}}
{{- $no = append $no (printf "%s is %s, as nothing in Kubernetes may be called: write its name, of small letters, digits, hyphens and dots" $path $name) -}}
{{- end -}}
{{- end -}}
{{- range $path, $image := dict "image" $v.image "nginx.image" $v.nginx.image "redis.embedded.image" $v.redis.embedded.image "metrics.nginx.image" $v.metrics.nginx.image "metrics.certificate.image" $v.metrics.certificate.image "metrics.redis.image" $v.metrics.redis.image -}}
{{- if ne $image.repository (lower $image.repository) -}}
{{- $no = append $no (printf "%s.repository is %s, but names of images have small letters: write %s" $path $image.repository (lower $image.repository)) -}}
{{- end -}}
{{- end -}}

{{- range $path, $networks := dict "expose.trustedProxies" $v.expose.trustedProxies "nginx.deniedClients" $v.nginx.deniedClients -}}
{{- range default list $networks -}}
{{- with include "auth0-flask.networkProblem" (ternary . (print . (ternary "/128" "/32" (contains ":" .))) (contains "/" .)) -}}
{{- $no = append $no (printf "%s has %s" $path .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range default list $v.expose.trustedProxies -}}
{{- if hasSuffix "/0" . -}}
{{- $no = append $no (printf "expose.trustedProxies has %s, by which everybody could say to be anybody: write the networks of the proxies" .) -}}
{{- end -}}
{{- end -}}
{{- range default list $v.expose.loadBalancer.sourceRanges -}}
{{- with include "auth0-flask.networkProblem" . -}}
{{- $no = append $no (printf "expose.loadBalancer.sourceRanges has %s" .) -}}
{{- end -}}
{{- end -}}
{{- $peers := dict -}}
{{- range list "clients" "prometheus" "dns" "auth0" "redis" "collector" -}}
{{- $_ := set $peers (printf "networkPolicy.%s" .) (index $v.networkPolicy . | default list) -}}
{{- end -}}
{{- range $index, $rule := $v.networkPolicy.extraEgress -}}
{{- $_ := set $peers (printf "networkPolicy.extraEgress[%d].to" $index) (default list $rule.to) -}}
{{- end -}}
{{- range $path, $list := $peers -}}
{{- range $list -}}
{{- with .ipBlock -}}
{{- range prepend (default list .except) .cidr -}}
{{- with include "auth0-flask.networkProblem" . -}}
{{- $no = append $no (printf "%s has %s" $path .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- $labelled := dict "commonLabels" $v.commonLabels "podLabels" $v.podLabels -}}
{{- range list "podMonitor" "rules" "dashboards" -}}{{- $_ := set $labelled (printf "metrics.%s.labels" .) (index $v.metrics .).labels -}}{{- end -}}
{{- $annotated := dict
  "commonAnnotations" $v.commonAnnotations
  "podAnnotations" $v.podAnnotations
  "serviceAccount.annotations" $v.serviceAccount.annotations
  "expose.serviceAnnotations" $v.expose.serviceAnnotations
  "expose.ingress.annotations" $v.expose.ingress.annotations
  "expose.gateway.annotations" $v.expose.gateway.annotations
  "metrics.dashboards.annotations" $v.metrics.dashboards.annotations
-}}
{{- range $path, $map := merge (dict) $labelled $annotated -}}
{{- range $key, $value := $map -}}
{{- if not (regexMatch "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$" $key) -}}
{{- $no = append $no (printf "%s has %s, which is no name of a label or an annotation: write one such as team, or example.com/team" $path $key) -}}
{{- end -}}
{{- if and (hasKey $labelled $path) (not (regexMatch "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$" $value)) -}}
{{- $no = append $no (printf "%s.%s is %s, which no label may be: write up to 63 letters, digits, hyphens, dots and underscores, or use an annotation" $path $key $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $no -}}
{{- end -}}

{{/* What is wrong with a host name, after "host is", or nothing. */}}
{{- define "auth0-flask.nameProblem" -}}
{{- $name := . -}}
{{- if not $name -}}
missing: write the app's public name, or localhost for a trial
{{- else if regexMatch "(^|[.])[0-9]+$" $name -}}
{{ $name }}, which is an address: browsers say the name of a site before its certificate is shown, so write a name
{{- else if not (and (le (len $name) 253) (regexMatch "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$" $name)) -}}
{{ $name }}, which is no host name: write {{ if contains "/" $name -}}
the name alone, without a scheme and a path
{{- else if contains ":" $name -}}
the name alone; a port goes into publicPort
{{- else if contains "*" $name -}}
one name; those that lead to it go into nginx.extraServerNames
{{- else if hasSuffix "." $name -}}
it without the dot at its end
{{- else if regexMatch "[^ -~]" $name -}}
it as DNS has it, with xn-- in place of such letters
{{- else if ne $name (lower $name) -}}
it in small letters
{{- else -}}
one such as app.example.com
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What is wrong with a network, after "… has", or nothing. */}}
{{- define "auth0-flask.networkProblem" -}}
{{- $four := "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])" -}}
{{- if regexMatch (printf "^%s([.]%s){3}/(3[0-2]|[12]?[0-9])$" $four $four) . -}}
{{- $address := 0 -}}
{{- range splitList "." (regexReplaceAll "/.*" . "") -}}{{- $address = add (mul $address 256) (int .) -}}{{- end -}}
{{- $size := 1 -}}
{{- range until (sub 32 (regexReplaceAll ".*/" . "" | int) | int) -}}{{- $size = mul $size 2 -}}{{- end -}}
{{- with mod $address $size -}}
{{- $first := sub $address . -}}
{{ $ }}, which begins in the middle of a network: write {{ div $first 16777216 }}.{{ mod (div $first 65536) 256 }}.{{ mod (div $first 256) 256 }}.{{ mod $first 256 }}/{{ regexReplaceAll ".*/" $ "" }}
{{- end -}}
{{- else -}}
{{- $address := regexReplaceAll "/.*" . "" -}}
{{- /* Eight groups of up to four digits, or fewer and one "::" for those that are missing. */}}
{{- $groups := regexFindAll "[0-9A-Fa-f]+" $address -1 | len -}}
{{- $whole := and (regexMatch "^([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}$" $address) (eq $groups 8) -}}
{{- $short := and (regexMatch "^([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4})*)?::([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4})*)?$" $address) (le $groups 7) -}}
{{- if not (and (or $whole $short) (regexMatch "/(12[0-8]|1[01][0-9]|[1-9]?[0-9])$" .)) -}}
{{ . }}, which is no network: write one such as 10.0.0.0/8 or fd00::/8
{{- end -}}
{{- end -}}
{{- end -}}
