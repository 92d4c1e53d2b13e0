{{/*
What of the embedded Redis' volume is another than the StatefulSet in the cluster has it, which Kubernetes changes for nobody.
An array of sentences; an empty one before the installation, and wherever Helm only renders.
*/}}
{{- define "auth0-flask.volumeProblems" -}}
{{- $no := list -}}
{{- $name := include "auth0-flask.redisStatefulSet" . -}}
{{- $wanted := .Values.redis.embedded.persistence -}}
{{- $namespace := .Release.Namespace -}}
{{- with lookup "apps/v1" "StatefulSet" $namespace $name -}}
{{- $anew := printf "kubectl -n %s delete statefulset %s --cascade=orphan" $namespace $name -}}
{{- $without := printf "to go on without the sessions in it, kubectl -n %s delete statefulset/%s pvc/data-%s-0, and upgrade again" $namespace $name $name -}}
{{- $claims := default list .spec.volumeClaimTemplates -}}
{{- if ne (empty $claims) (not $wanted.enabled) -}}
{{- $no = append $no (printf "redis.embedded.persistence.enabled is %t, but StatefulSet %s was made with %t, which cannot be changed: write that, or, %s" $wanted.enabled $name (not $wanted.enabled) $without) -}}
{{- else if $wanted.enabled -}}
{{- $spec := (first $claims).spec -}}
{{- $size := $spec.resources.requests.storage -}}
{{- $difference := subf (include "auth0-flask.bytes" $wanted.size) (include "auth0-flask.bytes" $size) -}}
{{- if lt $difference 0.0 -}}
{{- $no = append $no (printf "redis.embedded.persistence.size is %v, but StatefulSet %s was made with %s, and no volume shrinks: write that, or, %s" $wanted.size $name $size $without) -}}
{{- else if gt $difference 0.0 -}}
{{- $no = append $no (printf "redis.embedded.persistence.size is %v, but StatefulSet %s was made with %s, which cannot be changed: let the claim data-%s-0 grow (docs/kubernetes.md, Upgrade), make way with %s, which stops nothing, and upgrade again" $wanted.size $name $size $name $anew) -}}
{{- end -}}
{{- if and $wanted.storageClass (ne $wanted.storageClass (default "" $spec.storageClassName)) -}}
{{- $no = append $no (printf "redis.embedded.persistence.storageClass is %s, but StatefulSet %s was made with %s, which cannot be changed: write that, or, %s" $wanted.storageClass $name (default "the cluster's default" $spec.storageClassName) $without) -}}
{{- else if and (not $wanted.storageClass) $spec.storageClassName -}}
{{- $no = append $no (printf "redis.embedded.persistence.storageClass is empty, but StatefulSet %s was made with %s, which cannot be changed: write that, or, %s" $name $spec.storageClassName $without) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $no -}}
{{- end -}}

{{/* A quantity in bytes, however it is written: 1Gi, 1024Mi, 1.5e9. */}}
{{- define "auth0-flask.bytes" -}}
{{- $units := dict "" 1 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 0x1p10 "Mi" 0x1p20 "Gi" 0x1p30 "Ti" 0x1p40 "Pi" 0x1p50 "Ei" 0x1p60 -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?(e[+]?[0-9]+)?" (toString .) -}}
{{- mulf (float64 $number) (get $units (trimPrefix $number (toString .)) | float64) | printf "%.0f" -}}
{{- end -}}
