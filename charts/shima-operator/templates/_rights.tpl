{{/* What the operator changes in namespaces: a part of its ClusterRole, or with options.namespaces a Role in each of them. */}}
{{- define "shima-operator.changes" -}}
# What people ask for, and what they are told.
- {apiGroups: [shima.io], resources: [shimaclusters], verbs: [patch]}
- {apiGroups: [shima.io], resources: [shimaclusters/status, shimavolumes/status], verbs: [get, patch]}
- {apiGroups: [shima.io], resources: [shimaclusters/finalizers], verbs: [update]}   # owner references that block deletion
- {apiGroups: [shima.io], resources: [shimavolumes], verbs: [create, patch, delete]}
- {apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch]}
# Pods restart one at a time.
- {apiGroups: [""], resources: [pods], verbs: [delete]}
- {apiGroups: [""], resources: [pods/eviction], verbs: [create]}
# What a ShimaCluster makes.
- {apiGroups: [""], resources: [configmaps, services, serviceaccounts], verbs: [create, patch, delete]}
- {apiGroups: [apps], resources: [statefulsets, deployments, daemonsets], verbs: [create, patch, delete]}
- {apiGroups: [policy], resources: [poddisruptionbudgets], verbs: [create, patch, delete]}
- {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [create, patch, delete]}
- {apiGroups: [rbac.authorization.k8s.io], resources: [roles, rolebindings], verbs: [create, patch, delete]}
{{- if .Values.monitoring }}
- {apiGroups: [monitoring.coreos.com], resources: [servicemonitors, prometheusrules], verbs: [create, patch, delete]}
{{- end }}
# What the Role of the CSI controller has: nobody may give what he does not have.
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, list, watch, create, update, patch, delete]}
- {apiGroups: [storage.k8s.io], resources: [csistoragecapacities], verbs: [get, list, watch, create, update, patch, delete]}
- {apiGroups: [""], resources: [pods], verbs: [get]}
- {apiGroups: [apps], resources: [replicasets], verbs: [get]}
{{- end }}
