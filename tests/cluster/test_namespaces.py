"""The suite leaves alone what it has not made, in a cluster that is somebody's."""

from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.conftest import RESTRICTED

NAMESPACE = "flask-of-somebody"


@pytest.fixture
def somebody(kubernetes: Cluster) -> Iterator[Cluster]:
    """A cluster with a namespace of somebody's, which has the name of one that is wanted."""
    kubernetes.kubectl("create", "namespace", NAMESPACE)
    yield kubernetes
    kubernetes.kubectl("delete", "namespace", NAMESPACE)


def test_a_namespace_that_the_suite_did_not_make_is_neither_used_nor_deleted(somebody: Cluster) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"The cluster has namespace/{NAMESPACE}, which these tests did"):
        somebody.make_namespaces(RESTRICTED, NAMESPACE)
    somebody.delete_own_namespaces(f"--field-selector=metadata.name={NAMESPACE}")
    assert somebody.exists("default", f"namespace/{NAMESPACE}")
