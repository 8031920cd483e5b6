"""Scenarios of kube_operator_test.py: the addresses of Services that NFS mounts go to."""

from cluster import expect, wait_until
from kube_cluster import ApiError

NAMESPACE = "shima-system"
SERVICES = f"/api/v1/namespaces/{NAMESPACE}/services"
SERVICE = f"{SERVICES}/shima-access-site-b"
RECORD = f"/api/v1/namespaces/{NAMESPACE}/configmaps/shima-access-addresses"


def address(kube):
    return kube.get(SERVICE)["spec"]["clusterIP"]


def on_record(kube):
    return (kube.find(RECORD) or {}).get("data", {}).get("shima-access-site-b")


def wait_made_anew(kube, uid):
    return kube.wait_for("the Service to be made anew", SERVICE, lambda one: one["metadata"]["uid"] != uid, 90)


def a_deleted_service_comes_back_with_its_address(cluster):
    kube = cluster.kube
    uid, had = kube.get(SERVICE)["metadata"]["uid"], address(kube)
    wait_until("the address to be on record", lambda: on_record(kube) == had)
    kube.delete(SERVICE)
    found = wait_made_anew(kube, uid)
    expect(found["spec"]["clusterIP"] == had, f"it has {had} again")


def an_address_that_is_taken_is_replaced_and_told(cluster):
    """By another Service, while no operator runs."""
    kube, operator = cluster.kube, cluster.operator("operator-0")
    uid, had = kube.get(SERVICE)["metadata"]["uid"], address(kube)
    operator.stop()
    kube.delete(SERVICE)

    def stolen():  # it is free a moment after its Service has gone
        try:
            return kube.create(SERVICES, {
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "thief", "namespace": NAMESPACE},
                "spec": {"clusterIP": had, "ports": [{"port": 2049}]}})
        except ApiError as error:
            if error.code != 422:
                raise
    wait_until("the address to be free", stolen)
    operator.start()
    found = wait_made_anew(kube, uid)
    now = found["spec"]["clusterIP"]
    expect(now not in (had, ""), f"it has {now} instead of {had}")
    wait_until("an event", lambda: any(now in note and had in note for note in cluster.events("AccessAddressChanged")))
    wait_until("the new one to be on record", lambda: on_record(kube) == now)
    expect(True, f"told: {cluster.events('AccessAddressChanged')[0]}")
    cluster.wait_condition("ObjectsApplied", "True")
    kube.delete(f"{SERVICES}/thief")
