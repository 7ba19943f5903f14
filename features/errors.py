"""The faults a caller acts on. Everything else is a built-in exception."""

import re


class LotRiskError(Exception):
    """One line that says what, found and what to do; the command line prints it and exits with status 2."""


class SettingsError(LotRiskError):
    """A `lotrisk.toml` that cannot be used."""


class SourceUnreachable(LotRiskError):
    """A file, query or database that a table comes from cannot be read."""


class ContractViolation(LotRiskError):
    """A table that cannot be used as the contract says."""


class CannotTrain(LotRiskError):
    """Too little is known by the cut to fit a model."""


class BundleRefused(LotRiskError):
    """A model bundle whose hashes, features or golden rows are not what its card says."""


class UnknownVersion(LotRiskError):
    """A model version that the registry or the bundle folder does not hold."""


class RegistryFault(LotRiskError):
    """The model registry does not answer, or refuses."""

    @classmethod
    def of(cls, fault: Exception) -> "RegistryFault":
        """A fault of the registry's client, without what stands before an address's @: it may be a password."""
        said = re.sub("://.*@", "://***@", " ".join(str(fault).split()))[:300]
        return cls(f"the model registry does not do it ({said}). Look at MLFLOW_TRACKING_URI.")


class DatabaseUnreachable(LotRiskError):
    """The SQL database of what the service makes does not answer, or takes no writes."""
