//! The programs of the mesh and their pinned versions.
//! Not here: how they are built, see `go`, and how they are started.

use super::Story;

/// A Go module, and which programs of it are wanted.
#[derive(Debug)]
pub struct Source {
    /// What messages call it.
    pub name: &'static str,
    /// The module's path.
    pub module: &'static str,
    /// Its version.
    pub version: &'static str,
    /// How it is built.
    pub kind: BuildKind,
    /// Each program's name and its package.
    pub programs: &'static [(&'static str, &'static str)],
    /// Build tags.
    pub tags: &'static str,
    /// Linker flags besides the usual ones.
    pub linker_flags: &'static str,
}

/// How a module is built.
#[derive(Clone, Copy, Debug)]
pub enum BuildKind {
    /// As a requirement of a module of ours.
    Required,
    /// The same, with its parts replaced by their published versions.
    Kubernetes,
    /// In its own folder, because its `replace` lines count.
    OwnFolder,
}

/// The API server and what makes pods out of deployments.
pub const KUBERNETES: Source = Source {
    name: "kubernetes",
    module: "k8s.io/kubernetes",
    version: "v1.34.4",
    kind: BuildKind::Kubernetes,
    programs: &[
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        (
            "kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
        ),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
    ],
    tags: "",
    // Istiod and KEDA ask the API server for its version.
    linker_flags: "-X k8s.io/component-base/version.gitVersion=v1.34.4 -X k8s.io/component-base/version.gitMajor=1 \
                   -X k8s.io/component-base/version.gitMinor=34",
};

/// Where the API server keeps its objects.
pub const ETCD: Source = Source {
    name: "etcd",
    module: "go.etcd.io/etcd/server/v3",
    version: "v3.6.5",
    kind: BuildKind::Required,
    programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
    tags: "",
    linker_flags: "",
};

/// The cluster's DNS.
pub const COREDNS: Source = Source {
    name: "coredns",
    module: "github.com/coredns/coredns",
    version: "v1.12.4",
    kind: BuildKind::Required,
    programs: &[("coredns", "github.com/coredns/coredns")],
    tags: "",
    linker_flags: "",
};

/// Istio's control plane, the agent beside each Envoy, and the installer.
pub const ISTIO: Source = Source {
    name: "istio",
    module: "istio.io/istio",
    version: "v0.0.0-20260827124520-eed52ebb66ad",
    kind: BuildKind::Required,
    programs: &[
        (
            "pilot-discovery",
            "istio.io/istio/pilot/cmd/pilot-discovery",
        ),
        ("pilot-agent", "istio.io/istio/pilot/cmd/pilot-agent"),
        ("istioctl", "istio.io/istio/istioctl/cmd/istioctl"),
    ],
    tags: "",
    linker_flags: "-X istio.io/istio/pkg/version.buildVersion=1.31-eed52ebb66ad",
};

/// Debian's Prometheus cannot find pods.
pub const PROMETHEUS: Source = Source {
    name: "prometheus",
    module: "github.com/prometheus/prometheus",
    // The module's version of Prometheus 3.5.0.
    version: "v0.305.0",
    kind: BuildKind::Required,
    programs: &[(
        "prometheus",
        "github.com/prometheus/prometheus/cmd/prometheus",
    )],
    tags: "",
    linker_flags: "-X github.com/prometheus/common/version.Version=3.5.0",
};

/// The application.
pub const PODINFO: Source = Source {
    name: "podinfo",
    module: "github.com/stefanprodan/podinfo",
    version: "v1.8.1-0.20250910200901-e86405a8674e",
    kind: BuildKind::Required,
    programs: &[("podinfo", "github.com/stefanprodan/podinfo/cmd/podinfo")],
    tags: "",
    linker_flags: "",
};

/// The definitions of `Gateway` and `GatewayClass`; there is nothing to build.
pub const GATEWAY_API: Source = Source {
    name: "gateway-api",
    module: "sigs.k8s.io/gateway-api",
    version: "v1.6.0",
    kind: BuildKind::Required,
    programs: &[],
    tags: "",
    linker_flags: "",
};

/// Releases step by step.
pub const FLAGGER: Source = Source {
    name: "flagger",
    module: "github.com/fluxcd/flagger",
    version: "v1.36.1",
    kind: BuildKind::Required,
    programs: &[("flagger", "github.com/fluxcd/flagger/cmd/flagger")],
    tags: "",
    linker_flags: "",
};

/// Scales on what Prometheus says.
pub const KEDA: Source = Source {
    name: "keda",
    module: "github.com/kedacore/keda/v2",
    version: "v2.21.0",
    kind: BuildKind::Required,
    programs: &[
        ("keda", "github.com/kedacore/keda/v2/cmd/operator"),
        ("keda-adapter", "github.com/kedacore/keda/v2/cmd/adapter"),
    ],
    tags: "",
    linker_flags: "",
};

/// Makes many Prometheus look like one.
pub const THANOS: Source = Source {
    name: "thanos",
    module: "github.com/thanos-io/thanos",
    version: "v0.42.0",
    kind: BuildKind::OwnFolder,
    programs: &[("thanos", "./cmd/thanos")],
    // As its own makefile does. It reads the labels' memory in the layout of this tag, and crashes without it.
    tags: "slicelabels",
    linker_flags: "",
};

/// What a story needs, in the order in which it is built.
pub fn of(story: Story) -> Vec<&'static Source> {
    let mut sources = vec![&KUBERNETES, &ETCD, &COREDNS, &ISTIO, &PROMETHEUS, &PODINFO];
    match story {
        Story::Telemetry => {}
        Story::Ambient => sources.push(&GATEWAY_API),
        Story::Canary => sources.push(&FLAGGER),
        Story::Autoscaling => sources.push(&KEDA),
        Story::HighAvailability => sources.push(&THANOS),
    }
    sources
}

/// Renders the chart of `mixerless manifests --chart`.
pub const HELM: Source = Source {
    name: "helm",
    module: "helm.sh/helm/v3",
    version: "v3.19.0",
    kind: BuildKind::Required,
    programs: &[("helm", "helm.sh/helm/v3/cmd/helm")],
    tags: "",
    linker_flags: "",
};

/// Builds the kustomization of `mixerless manifests`.
pub const KUSTOMIZE: Source = Source {
    name: "kustomize",
    module: "sigs.k8s.io/kustomize/kustomize/v5",
    version: "v5.7.1",
    kind: BuildKind::Required,
    programs: &[("kustomize", "sigs.k8s.io/kustomize/kustomize/v5")],
    tags: "",
    linker_flags: "",
};
