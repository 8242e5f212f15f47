{{- /*
The spec of every pod. Takes root, component, args, and:
  home       "state" (shared claim), "claim" (a StatefulSet's own), "own" (that, and of the shared one the slots)
             or "scratch"
  readOnly   whether the home may only be read
  files      secrets mounted as files: {file: {secret, key}}; the file's variable is TRIMTAB_<FILE>_FILE
  envFrom    names of secrets that become environment
  results    whether it talks to the results store
  port       port it listens on, if any
  copies     port it takes mirrored copies on, if any
  grpc       port it answers gRPC on, if any
  probes     probes as YAML, if any
  api        whether it asks the Kubernetes API
  resources, grace, antiAffinity (labels)
*/ -}}
{{- define "trimtab.pod" -}}
{{- $values := .root.Values -}}
serviceAccountName: {{ include "trimtab.componentName" . }}
automountServiceAccountToken: {{ .api | default false }}
enableServiceLinks: false # they would set TRIMTAB_* variables of their own
terminationGracePeriodSeconds: {{ .grace | default 30 }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.affinity }}
affinity:
  {{- toYaml $values.affinity | nindent 2 }}
{{- else if .apart }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- .apart | nindent 14 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with $values.security.runAsUser }}
  runAsUser: {{ int64 . }}
  {{- end }}
  {{- with $values.security.runAsGroup }}
  runAsGroup: {{ int64 . }}
  {{- end }}
  {{- with $values.security.fsGroup }}
  fsGroup: {{ int64 . }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
containers:
  - name: {{ .component }}
    image: {{ printf "%s:%s" $values.image.repository (default .root.Chart.AppVersion $values.image.tag) | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    command: [trimtab]
    args:
      {{- toYaml .args | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    env:
      - name: HOME
        value: /tmp
      - name: TRIMTAB_PROCESS
        value: {{ .component }}
      {{- if .results }}
      - name: TRIMTAB_RESULTS_URL
        valueFrom:
          secretKeyRef:
            name: {{ $values.results.existingSecret }}
            key: url
      {{- end }}
      {{- range $file, $from := .files }}
      - name: TRIMTAB_{{ $file | upper | replace "-" "_" }}_FILE
        value: /run/secrets/trimtab/{{ $file }}
      {{- end }}
    envFrom:
      - configMapRef:
          name: {{ include "trimtab.fullname" .root }}-environment
      {{- range .envFrom }}
      {{- if . }}
      - secretRef:
          name: {{ . }}
      {{- end }}
      {{- end }}
    {{- with .port }}
    ports:
      - name: http
        containerPort: {{ . }}
        protocol: TCP
    {{- end }}
    {{- with .copies }}
      - name: copies
        containerPort: {{ . }}
        protocol: TCP
    {{- end }}
    {{- with .grpc }}
      - name: grpc
        containerPort: {{ . }}
        protocol: TCP
    {{- end }}
    {{- with .probes }}
    {{- . | nindent 4 }}
    {{- end }}
    resources:
      {{- toYaml .resources | nindent 6 }}
    volumeMounts:
      - name: home
        mountPath: /var/lib/trimtab
        {{- if .readOnly }}
        readOnly: true
        {{- end }}
      {{- if eq .home "own" }}
      - name: state # which version stands in which slot: the exporter reads it
        mountPath: /var/lib/trimtab/slots
        subPath: slots
      {{- end }}
      - name: tmp
        mountPath: /tmp
      - name: models
        mountPath: /etc/trimtab/models
        readOnly: true
      {{- if .files }}
      - name: secrets
        mountPath: /run/secrets/trimtab
        readOnly: true
      {{- end }}
volumes:
  {{- if eq .home "scratch" }}
  - name: home
    emptyDir: {}
  {{- else if ne .home "claim" }}
  - name: {{ eq .home "own" | ternary "state" "home" }}
    persistentVolumeClaim:
      claimName: {{ include "trimtab.claim" .root }}
  {{- end }}
  - name: tmp
    emptyDir: {}
  - name: models
    configMap:
      name: {{ include "trimtab.fullname" .root }}-models
  {{- if .files }}
  - name: secrets
    projected:
      defaultMode: 0440
      sources:
        {{- range $file, $from := .files }}
        - secret:
            name: {{ $from.secret }}
            items:
              - key: {{ $from.key }}
                path: {{ $file }}
        {{- end }}
  {{- end }}
{{- end -}}

{{- /* A Deployment of one component; takes what trimtab.pod takes, and replicas and strategy. */ -}}
{{- define "trimtab.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "trimtab.componentName" . }}
  labels:
    {{- include "trimtab.labels" . | nindent 4 }}
spec:
  replicas: {{ .replicas | default 1 }}
  strategy:
    type: {{ .strategy | default "Recreate" }}
  selector:
    matchLabels:
      {{- include "trimtab.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "trimtab.labels" . | nindent 8 }}
      annotations:
        checksum/configuration: {{ include "trimtab.configuration" .root | sha256sum }}
        {{- with .root.Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "trimtab.pod" . | nindent 6 }}
{{- end -}}

{{- define "trimtab.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "trimtab.componentName" . }}
  labels:
    {{- include "trimtab.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "trimtab.selector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ .port }}
      targetPort: http
      protocol: TCP
{{- end -}}
