package deploy

import "time"

// What the stand-ins read of Kubernetes' objects.

const podsPath = "/api/v1/namespaces/" + namespace + "/pods"

type metadata struct {
	Name                       string
	UID                        string
	Labels                     map[string]string
	DeletionTimestamp          *time.Time
	DeletionGracePeriodSeconds int
}

type claim struct {
	Metadata metadata
	Spec     struct {
		VolumeName  string
		AccessModes []string
		Resources   struct{ Requests struct{ Storage string } }
	}
}

type pod struct {
	Metadata metadata
	Spec     struct {
		RestartPolicy string
		Containers    []container
		Volumes       []volume
	}
	Status struct {
		Phase      string
		PodIP      string
		Conditions []struct{ Type, Status string }
	}
}

func (p pod) ready() bool {
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

type volume struct {
	Name                  string
	PersistentVolumeClaim *struct{ ClaimName string }
	Secret                *struct{ SecretName string }
}

type container struct {
	Name          string
	Image         string
	Command, Args []string
	Env           []variable
	VolumeMounts  []struct{ Name, MountPath string }
	Ports         []struct {
		Name          string
		ContainerPort int
	}
	StartupProbe   *probe
	LivenessProbe  *probe
	ReadinessProbe *probe
	Lifecycle      *struct {
		PreStop *struct{ Sleep *struct{ Seconds int } }
	}
}

type variable struct {
	Name, Value string
	ValueFrom   *struct {
		FieldRef     *struct{ FieldPath string }
		SecretKeyRef *struct{ Name, Key string }
	}
}

type probe struct {
	HTTPGet *struct {
		Path, Scheme string
		Port         any
	}
	PeriodSeconds, FailureThreshold, TimeoutSeconds int
}

type endpointSlices struct {
	Items []struct {
		Metadata  metadata
		Endpoints []struct {
			Addresses  []string
			Hostname   string
			Conditions struct{ Ready *bool }
		}
	}
}
