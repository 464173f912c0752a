{{- define "admitone.name" -}}
{{- .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name)) | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "admitone.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "admitone.labels" -}}
{{ include "admitone.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* What all pods have. enableServiceLinks is off because Kubernetes would otherwise put variables into each pod that
begin with ADMITONE_ (the service's own name), and a process that finds a variable it does not know does not start. */}}
{{- define "admitone.pod" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {}
{{- end }}

{{- define "admitone.container" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - name: tmp
    mountPath: /tmp
{{- end }}

{{- define "admitone.settings" -}}
- name: ADMITONE_LANES
  value: {{ .Values.lanes | quote }}
{{- range $name, $value := .Values.settings }}
{{- if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Each lane must be worked on, and each part be done. */}}
{{- define "admitone.check" -}}
{{- $parts := list }}
{{- $worked := dict }}
{{- range $group := .Values.workers }}
{{- $parts = concat $parts $group.parts }}
{{- if has "lanes" $group.parts }}
{{- range $lane := ($group.lanes | default (untilStep 0 (int $.Values.lanes) 1)) }}
{{- if ge (int $lane) (int $.Values.lanes) }}
{{- fail (printf "workers: group %s has lane %d, and the lanes are 0 to %d" $group.name (int $lane) (sub (int $.Values.lanes) 1)) }}
{{- end }}
{{- $_ := set $worked (toString (int $lane)) true }}
{{- end }}
{{- else if $group.lanes }}
{{- fail (printf "workers: group %s names lanes, and its parts leave them out" $group.name) }}
{{- end }}
{{- end }}
{{- range $lane := untilStep 0 (int .Values.lanes) 1 }}
{{- if not (hasKey $worked (toString $lane)) }}
{{- fail (printf "workers: no group works on lane %d: its bookings would wait for ever" $lane) }}
{{- end }}
{{- end }}
{{- range $part := list "housekeeping" "messages" "cron" "webhooks" "payments" }}
{{- if not (has $part $parts) }}
{{- fail (printf "workers: no group does the part %s" $part) }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not (get .Values.settings "ADMITONE_TRUSTED_PROXIES")) }}
{{- fail "settings.ADMITONE_TRUSTED_PROXIES: name the addresses of the ingress controller's pods; without them all fans count as one network" }}
{{- end }}
{{- end }}
