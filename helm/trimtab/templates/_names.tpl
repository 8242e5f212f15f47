{{- define "trimtab.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Name of a slot's objects, at most 52 characters: a StatefulSet's pods carry it in a label with a hash. */ -}}
{{- define "trimtab.slotName" -}}
{{- $plain := printf "%s-%s-%s" (include "trimtab.fullname" .root) (.model | replace "_" "-") .slot -}}
{{- if gt (len $plain) 52 -}}
{{- $hash := printf "%s/%s" .model .slot | sha256sum | trunc 8 -}}
{{- printf "%s-%s" ($plain | trunc 43 | trimSuffix "-") $hash -}}
{{- else -}}
{{- $plain -}}
{{- end -}}
{{- end -}}

{{- define "trimtab.componentName" -}}
{{- printf "%s-%s" (include "trimtab.fullname" .root) .component -}}
{{- end -}}

{{- define "trimtab.claim" -}}
{{- .Values.state.existingClaim | default (printf "%s-state" (include "trimtab.fullname" .)) -}}
{{- end -}}

{{- /* What selects the pods of a component, or of the whole release without one. */ -}}
{{- define "trimtab.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .model }}
trimtab/model: {{ . }}
{{- end }}
{{- with .slot }}
trimtab/slot: {{ . }}
{{- end }}
{{- end -}}

{{- define "trimtab.labels" -}}
{{ include "trimtab.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: trimtab
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* TRIMTAB_SLOTS: {model: {blue: url, green: url}} */ -}}
{{- define "trimtab.slots" -}}
{{- $slots := dict -}}
{{- range $model, $_ := .Values.models -}}
{{- $urls := dict -}}
{{- range $slot := list "blue" "green" -}}
{{- $name := include "trimtab.slotName" (dict "root" $ "model" $model "slot" $slot) -}}
{{- $_ := set $urls $slot (printf "http://%s.%s.svc:8080" $name $.Release.Namespace) -}}
{{- end -}}
{{- $_ := set $slots $model $urls -}}
{{- end -}}
{{- toJson $slots -}}
{{- end -}}

{{- define "trimtab.routeName" -}}
{{- include "trimtab.slotName" (dict "root" .root "model" .model "slot" "route") -}}
{{- end -}}

{{- /* TRIMTAB_ROUTES: {model: name of its HTTPRoute} */ -}}
{{- define "trimtab.routes" -}}
{{- $routes := dict -}}
{{- range $model, $_ := .Values.models -}}
{{- $_ := set $routes $model (include "trimtab.routeName" (dict "root" $ "model" $model)) -}}
{{- end -}}
{{- toJson $routes -}}
{{- end -}}

{{- /* Weights of a model's HTTPRoute: all to blue, where the first champion is, unless said otherwise. */ -}}
{{- define "trimtab.weights" -}}
{{- .weights | default (dict "blue" 100 "green" 0) | toJson -}}
{{- end -}}
