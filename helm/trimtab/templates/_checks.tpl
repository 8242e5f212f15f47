{{- /* What a schema cannot say. All problems at once. */ -}}
{{- define "trimtab.check" -}}
{{- $problems := list -}}
{{- $payloads := not .Values.payloadReceiver.enabled -}}
{{- range $model, $values := .Values.models -}}
{{- $where := printf "models.%s" $model -}}
{{- $spec := fromYaml $values.spec -}}
{{- if hasKey $spec "Error" -}}
{{- $problems = append $problems (printf "%s.spec: must be the YAML of a model; %s" $where $spec.Error) -}}
{{- else -}}
{{- $payloads = or $payloads (eq (include "trimtab.takesPayloads" (dict "root" $ "values" $values)) "true") -}}
{{- if ne (toString $spec.model) $model -}}
{{- $problems = append $problems (printf "%s.spec: model must be %q, the key it stands under; found %q" $where $model (toString $spec.model)) -}}
{{- end -}}
{{- range $table := list "inference_log" "labels" -}}
{{- $location := dig "data" $table "" $spec | toString -}}
{{- if not (contains "://" $location) -}}
{{- $problems = append $problems (printf "%s.spec: data.%s must be a URL, for the slots and the monitors share no folder; found %q" $where $table $location) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.weights (eq $.Values.router.kind "gateway_api") -}}
{{- $problems = append $problems (printf "%s.weights: must be left out where router.kind is gateway_api; rollouts write them" $where) -}}
{{- end -}}
{{- $weights := include "trimtab.weights" $values | fromJson -}}
{{- if ne (add (int $weights.blue) (int $weights.green)) 100 -}}
{{- $problems = append $problems (printf "%s.weights: blue and green must add up to 100" $where) -}}
{{- end -}}
{{- end -}}
{{- if not $payloads -}}
{{- $problems = append $problems "payloadReceiver.enabled: must be false where no model's spec has data.payloads; give it there, {} will do" -}}
{{- end -}}
{{- if eq .Values.router.kind "gateway_api" -}}
{{- range $part := list "gateway" "guard" -}}
{{- if not (index $.Values $part).enabled -}}
{{- $why := eq $part "guard" | ternary "nobody else ends a canary whose judge is gone" "its HTTPRoutes carry the traffic" -}}
{{- $problems = append $problems (printf "%s.enabled: must be true where router.kind is gateway_api; %s" $part $why) -}}
{{- end -}}
{{- end -}}
{{- else if and .Values.guard.enabled (not .Values.guard.envoyAdminUrl) -}}
{{- $problems = append $problems "guard.envoyAdminUrl: must be given where guard.enabled is true" -}}
{{- end -}}
{{- if and .Values.gateway.enabled (not .Values.gateway.parentRefs) -}}
{{- $problems = append $problems "gateway.parentRefs: must name a Gateway where gateway.enabled is true" -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n%s" (join "\n" $problems)) -}}
{{- end -}}
{{- end -}}
