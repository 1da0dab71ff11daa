"""Model versions in SageMaker's registry too, for teams that approve there; off unless it is named.

The registry of Noria stays the truth: a package is a pointer with numbers and an approval status.
An approval or rejection there resumes the rollout that waits for it.
"""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from noria.storage.hashing import short_id
from noria_aws.aws.client_errors import translated

_LONGEST_VALUE = 256  # characters of a property, SageMaker's limit
_MOST_PROPERTIES = 50


class ModelPackages:
    """The packages of one deployment: a group a project.

    Parameters
    ----------
    client
        boto3's for SageMaker.
    prefix : str
        Groups are named `<prefix>-<project>`.
    """

    def __init__(self, client: Any, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    def mirror(
        self, project: str, model_version: str, status: str, properties: Mapping[str, str]
    ) -> None:
        """Add a model version to its project's group, which is made if there is none.

        Parameters
        ----------
        status : "Approved", "PendingManualApproval" or "Rejected"
        properties : mapping
            Shown with the package: where it lies, its metrics, its lineage.
        """
        group = self._group(project)
        kept = dict(list(properties.items())[: _MOST_PROPERTIES - 2])
        kept |= {"project": project, "model_version": model_version}
        with translated(f"registering {model_version} in SageMaker"):
            self._require_group(group, project)
            self._client.create_model_package(
                ModelPackageGroupName=group,
                ModelPackageDescription=_description(project, model_version),
                ModelApprovalStatus=status,
                CustomerMetadataProperties={n: str(v)[:_LONGEST_VALUE] for n, v in kept.items()},
                ClientToken=short_id(f"{group}\n{model_version}".encode()),  # again is once
            )

    def model_version_of(self, arn: str) -> tuple[str, str]:
        """Return (project, model version) of a package; KeyError when it is none of Noria's."""
        with translated(f"describing {arn}"):
            found = self._client.describe_model_package(ModelPackageName=arn)
        properties = found["CustomerMetadataProperties"]
        return properties["project"], properties["model_version"]

    def status_of(self, project: str, model_version: str) -> str | None:
        """Return the approval status of a version's newest package; None where there is none."""
        pages = self._client.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=self._group(project),
            SortBy="CreationTime",
            SortOrder="Descending",
        )
        wanted = _description(project, model_version)
        with translated(f"looking for {model_version} in SageMaker"):
            for page in pages:
                for package in page["ModelPackageSummaryList"]:
                    if package.get("ModelPackageDescription") == wanted:
                        return str(package["ModelApprovalStatus"])
        return None

    def _group(self, project: str) -> str:
        return f"{self._prefix}-{project.replace('_', '-')}"

    def _require_group(self, group: str, project: str) -> None:
        try:
            self._client.create_model_package_group(
                ModelPackageGroupName=group,
                ModelPackageGroupDescription=f"Noria: model versions of {project}",
            )
        except ClientError as error:
            if "already exists" not in error.response["Error"]["Message"]:
                raise


def _description(project: str, model_version: str) -> str:
    """Return what a package says it is; lists of packages show it, their properties not."""
    return f"Noria: {project} {model_version}"[:1024]
