"""The version of this distribution, and of the plugin contracts."""

__version__ = "0.1.0"

#: Version of the plugin contracts. A plugin may declare the version it was written for as a class attribute
#: `plugin_api`; one that declares another version is refused when it is loaded.
PLUGIN_API = 2
