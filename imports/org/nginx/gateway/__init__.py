from __future__ import annotations

from pkgutil import extend_path
__path__ = extend_path(__path__, __name__)

import abc
import builtins
import datetime
import enum
import typing

import jsii
import publication
import typing_extensions

from jsii._type_checking import cached_type_hints, check_type


from ._jsii import *

class _LazyImport:
    def __init__(self, module_name: str) -> None:
        self._module_name = module_name
        self._module: typing.Any = None
    def __getattr__(self, name: str) -> typing.Any:
        if self._module is None:
            import importlib
            self._module = importlib.import_module(self._module_name)
        return getattr(self._module, name)

if typing.TYPE_CHECKING:

    import cdk8s as _cdk8s_d3d9af27
    import constructs as _constructs_77d1e7e8
else:

    _cdk8s_d3d9af27 = _LazyImport("cdk8s")
    _constructs_77d1e7e8 = _LazyImport("constructs")


class ClientSettingsPolicy(
    _cdk8s_d3d9af27.ApiObject,
    metaclass=jsii.JSIIMeta,
    jsii_type="orgnginxgateway.ClientSettingsPolicy",
):
    '''
    :schema: ClientSettingsPolicy
    '''

    def __init__(
        self,
        scope: "_constructs_77d1e7e8.Construct",
        id: builtins.str,
        *,
        spec: typing.Union["ClientSettingsPolicySpec", typing.Dict[builtins.str, typing.Any]],
        metadata: typing.Optional[typing.Union["_cdk8s_d3d9af27.ApiObjectMetadata", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''Defines a "ClientSettingsPolicy" API object.

        :param scope: the scope in which to define this object.
        :param id: a scope-local name for the object.
        :param spec: 
        :param metadata: 
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__c4b4cdcfd07d4f0dade0d2db69f6b97f2812517c69d9e15e436003ab47f8fc05)
            check_type(argname="argument scope", value=scope, expected_type=type_hints["scope"])
            check_type(argname="argument id", value=id, expected_type=type_hints["id"])
        props = ClientSettingsPolicyProps(spec=spec, metadata=metadata)

        jsii.create(self.__class__, self, [scope, id, props])

    @jsii.member(jsii_name="manifest")
    @builtins.classmethod
    def manifest(
        cls,
        *,
        spec: typing.Union["ClientSettingsPolicySpec", typing.Dict[builtins.str, typing.Any]],
        metadata: typing.Optional[typing.Union["_cdk8s_d3d9af27.ApiObjectMetadata", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> typing.Any:
        '''Renders a Kubernetes manifest for "ClientSettingsPolicy".

        This can be used to inline resource manifests inside other objects (e.g. as templates).

        :param spec: 
        :param metadata: 
        '''
        props = ClientSettingsPolicyProps(spec=spec, metadata=metadata)

        return typing.cast(typing.Any, jsii.sinvoke(cls, "manifest", [props]))

    @jsii.member(jsii_name="toJson")
    def to_json(self) -> typing.Any:
        '''Renders the object to Kubernetes JSON.'''
        return typing.cast(typing.Any, jsii.invoke(self, "toJson", []))

    @jsii.python.classproperty
    @jsii.member(jsii_name="GVK")
    def GVK(cls) -> "_cdk8s_d3d9af27.GroupVersionKind":
        '''Returns the apiVersion and kind for "ClientSettingsPolicy".'''
        return typing.cast("_cdk8s_d3d9af27.GroupVersionKind", jsii.sget(cls, "GVK"))


@jsii.data_type(
    jsii_type="orgnginxgateway.ClientSettingsPolicyProps",
    jsii_struct_bases=[],
    name_mapping={"spec": "spec", "metadata": "metadata"},
)
class ClientSettingsPolicyProps:
    def __init__(
        self,
        *,
        spec: typing.Union["ClientSettingsPolicySpec", typing.Dict[builtins.str, typing.Any]],
        metadata: typing.Optional[typing.Union["_cdk8s_d3d9af27.ApiObjectMetadata", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''
        :param spec: 
        :param metadata: 

        :schema: ClientSettingsPolicy
        '''
        if isinstance(spec, dict):
            spec = ClientSettingsPolicySpec(**spec)
        if isinstance(metadata, dict):
            metadata = _cdk8s_d3d9af27.ApiObjectMetadata(**metadata)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__e3cb47b367f40df98c57ecdc00959a940313c96652679ddec7b7ded7fe7f03d3)
            check_type(argname="argument spec", value=spec, expected_type=type_hints["spec"])
            check_type(argname="argument metadata", value=metadata, expected_type=type_hints["metadata"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "spec": spec,
        }
        if metadata is not None:
            self._values["metadata"] = metadata

    @builtins.property
    def spec(self) -> "ClientSettingsPolicySpec":
        '''
        :schema: ClientSettingsPolicy#spec
        '''
        result = self._values.get("spec")
        assert result is not None, "Required property 'spec' is missing"
        return typing.cast("ClientSettingsPolicySpec", result)

    @builtins.property
    def metadata(self) -> typing.Optional["_cdk8s_d3d9af27.ApiObjectMetadata"]:
        '''
        :schema: ClientSettingsPolicy#metadata
        '''
        result = self._values.get("metadata")
        return typing.cast(typing.Optional["_cdk8s_d3d9af27.ApiObjectMetadata"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "ClientSettingsPolicyProps(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.ClientSettingsPolicySpec",
    jsii_struct_bases=[],
    name_mapping={
        "target_ref": "targetRef",
        "body": "body",
        "keep_alive": "keepAlive",
    },
)
class ClientSettingsPolicySpec:
    def __init__(
        self,
        *,
        target_ref: typing.Union["ClientSettingsPolicySpecTargetRef", typing.Dict[builtins.str, typing.Any]],
        body: typing.Optional[typing.Union["ClientSettingsPolicySpecBody", typing.Dict[builtins.str, typing.Any]]] = None,
        keep_alive: typing.Optional[typing.Union["ClientSettingsPolicySpecKeepAlive", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''
        :param target_ref: 
        :param body: 
        :param keep_alive: 

        :schema: ClientSettingsPolicySpec
        '''
        if isinstance(target_ref, dict):
            target_ref = ClientSettingsPolicySpecTargetRef(**target_ref)
        if isinstance(body, dict):
            body = ClientSettingsPolicySpecBody(**body)
        if isinstance(keep_alive, dict):
            keep_alive = ClientSettingsPolicySpecKeepAlive(**keep_alive)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__b74726bdd4588d80b058e7e49d2116b5a4c06acf9f1b38c9b7ae0c006dc8831c)
            check_type(argname="argument target_ref", value=target_ref, expected_type=type_hints["target_ref"])
            check_type(argname="argument body", value=body, expected_type=type_hints["body"])
            check_type(argname="argument keep_alive", value=keep_alive, expected_type=type_hints["keep_alive"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "target_ref": target_ref,
        }
        if body is not None:
            self._values["body"] = body
        if keep_alive is not None:
            self._values["keep_alive"] = keep_alive

    @builtins.property
    def target_ref(self) -> "ClientSettingsPolicySpecTargetRef":
        '''
        :schema: ClientSettingsPolicySpec#targetRef
        '''
        result = self._values.get("target_ref")
        assert result is not None, "Required property 'target_ref' is missing"
        return typing.cast("ClientSettingsPolicySpecTargetRef", result)

    @builtins.property
    def body(self) -> typing.Optional["ClientSettingsPolicySpecBody"]:
        '''
        :schema: ClientSettingsPolicySpec#body
        '''
        result = self._values.get("body")
        return typing.cast(typing.Optional["ClientSettingsPolicySpecBody"], result)

    @builtins.property
    def keep_alive(self) -> typing.Optional["ClientSettingsPolicySpecKeepAlive"]:
        '''
        :schema: ClientSettingsPolicySpec#keepAlive
        '''
        result = self._values.get("keep_alive")
        return typing.cast(typing.Optional["ClientSettingsPolicySpecKeepAlive"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "ClientSettingsPolicySpec(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.ClientSettingsPolicySpecBody",
    jsii_struct_bases=[],
    name_mapping={"max_size": "maxSize", "timeout": "timeout"},
)
class ClientSettingsPolicySpecBody:
    def __init__(
        self,
        *,
        max_size: typing.Optional[builtins.str] = None,
        timeout: typing.Optional[builtins.str] = None,
    ) -> None:
        '''
        :param max_size: 
        :param timeout: 

        :schema: ClientSettingsPolicySpecBody
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__9347afff1f9169485efb5bf77929a70cafbc0bbd7fec9199a396d5dddcb87c62)
            check_type(argname="argument max_size", value=max_size, expected_type=type_hints["max_size"])
            check_type(argname="argument timeout", value=timeout, expected_type=type_hints["timeout"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if max_size is not None:
            self._values["max_size"] = max_size
        if timeout is not None:
            self._values["timeout"] = timeout

    @builtins.property
    def max_size(self) -> typing.Optional[builtins.str]:
        '''
        :schema: ClientSettingsPolicySpecBody#maxSize
        '''
        result = self._values.get("max_size")
        return typing.cast(typing.Optional[builtins.str], result)

    @builtins.property
    def timeout(self) -> typing.Optional[builtins.str]:
        '''
        :schema: ClientSettingsPolicySpecBody#timeout
        '''
        result = self._values.get("timeout")
        return typing.cast(typing.Optional[builtins.str], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "ClientSettingsPolicySpecBody(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.ClientSettingsPolicySpecKeepAlive",
    jsii_struct_bases=[],
    name_mapping={
        "min_timeout": "minTimeout",
        "requests": "requests",
        "time": "time",
        "timeout": "timeout",
    },
)
class ClientSettingsPolicySpecKeepAlive:
    def __init__(
        self,
        *,
        min_timeout: typing.Optional[builtins.str] = None,
        requests: typing.Optional[jsii.Number] = None,
        time: typing.Optional[builtins.str] = None,
        timeout: typing.Optional[typing.Union["ClientSettingsPolicySpecKeepAliveTimeout", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''
        :param min_timeout: 
        :param requests: 
        :param time: 
        :param timeout: 

        :schema: ClientSettingsPolicySpecKeepAlive
        '''
        if isinstance(timeout, dict):
            timeout = ClientSettingsPolicySpecKeepAliveTimeout(**timeout)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__a252c14cf315b263afb30dbf7e784a3f5c804b81f2171f62925daa07b54b443c)
            check_type(argname="argument min_timeout", value=min_timeout, expected_type=type_hints["min_timeout"])
            check_type(argname="argument requests", value=requests, expected_type=type_hints["requests"])
            check_type(argname="argument time", value=time, expected_type=type_hints["time"])
            check_type(argname="argument timeout", value=timeout, expected_type=type_hints["timeout"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if min_timeout is not None:
            self._values["min_timeout"] = min_timeout
        if requests is not None:
            self._values["requests"] = requests
        if time is not None:
            self._values["time"] = time
        if timeout is not None:
            self._values["timeout"] = timeout

    @builtins.property
    def min_timeout(self) -> typing.Optional[builtins.str]:
        '''
        :schema: ClientSettingsPolicySpecKeepAlive#minTimeout
        '''
        result = self._values.get("min_timeout")
        return typing.cast(typing.Optional[builtins.str], result)

    @builtins.property
    def requests(self) -> typing.Optional[jsii.Number]:
        '''
        :schema: ClientSettingsPolicySpecKeepAlive#requests
        '''
        result = self._values.get("requests")
        return typing.cast(typing.Optional[jsii.Number], result)

    @builtins.property
    def time(self) -> typing.Optional[builtins.str]:
        '''
        :schema: ClientSettingsPolicySpecKeepAlive#time
        '''
        result = self._values.get("time")
        return typing.cast(typing.Optional[builtins.str], result)

    @builtins.property
    def timeout(self) -> typing.Optional["ClientSettingsPolicySpecKeepAliveTimeout"]:
        '''
        :schema: ClientSettingsPolicySpecKeepAlive#timeout
        '''
        result = self._values.get("timeout")
        return typing.cast(typing.Optional["ClientSettingsPolicySpecKeepAliveTimeout"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "ClientSettingsPolicySpecKeepAlive(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.ClientSettingsPolicySpecKeepAliveTimeout",
    jsii_struct_bases=[],
    name_mapping={"header": "header", "server": "server"},
)
class ClientSettingsPolicySpecKeepAliveTimeout:
    def __init__(
        self,
        *,
        header: typing.Optional[builtins.str] = None,
        server: typing.Optional[builtins.str] = None,
    ) -> None:
        '''
        :param header: 
        :param server: 

        :schema: ClientSettingsPolicySpecKeepAliveTimeout
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__39a682514c4a98175d00f56947a91fb8d76789073843397492bf726d3531e84a)
            check_type(argname="argument header", value=header, expected_type=type_hints["header"])
            check_type(argname="argument server", value=server, expected_type=type_hints["server"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if header is not None:
            self._values["header"] = header
        if server is not None:
            self._values["server"] = server

    @builtins.property
    def header(self) -> typing.Optional[builtins.str]:
        '''
        :schema: ClientSettingsPolicySpecKeepAliveTimeout#header
        '''
        result = self._values.get("header")
        return typing.cast(typing.Optional[builtins.str], result)

    @builtins.property
    def server(self) -> typing.Optional[builtins.str]:
        '''
        :schema: ClientSettingsPolicySpecKeepAliveTimeout#server
        '''
        result = self._values.get("server")
        return typing.cast(typing.Optional[builtins.str], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "ClientSettingsPolicySpecKeepAliveTimeout(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.ClientSettingsPolicySpecTargetRef",
    jsii_struct_bases=[],
    name_mapping={"group": "group", "kind": "kind", "name": "name"},
)
class ClientSettingsPolicySpecTargetRef:
    def __init__(
        self,
        *,
        group: builtins.str,
        kind: builtins.str,
        name: builtins.str,
    ) -> None:
        '''
        :param group: 
        :param kind: 
        :param name: 

        :schema: ClientSettingsPolicySpecTargetRef
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__e2d86f5e0baf3f719b9fad37abb7b182bb2bbc33b27346662e604c58546f97a7)
            check_type(argname="argument group", value=group, expected_type=type_hints["group"])
            check_type(argname="argument kind", value=kind, expected_type=type_hints["kind"])
            check_type(argname="argument name", value=name, expected_type=type_hints["name"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "group": group,
            "kind": kind,
            "name": name,
        }

    @builtins.property
    def group(self) -> builtins.str:
        '''
        :schema: ClientSettingsPolicySpecTargetRef#group
        '''
        result = self._values.get("group")
        assert result is not None, "Required property 'group' is missing"
        return typing.cast(builtins.str, result)

    @builtins.property
    def kind(self) -> builtins.str:
        '''
        :schema: ClientSettingsPolicySpecTargetRef#kind
        '''
        result = self._values.get("kind")
        assert result is not None, "Required property 'kind' is missing"
        return typing.cast(builtins.str, result)

    @builtins.property
    def name(self) -> builtins.str:
        '''
        :schema: ClientSettingsPolicySpecTargetRef#name
        '''
        result = self._values.get("name")
        assert result is not None, "Required property 'name' is missing"
        return typing.cast(builtins.str, result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "ClientSettingsPolicySpecTargetRef(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


class NginxProxy(
    _cdk8s_d3d9af27.ApiObject,
    metaclass=jsii.JSIIMeta,
    jsii_type="orgnginxgateway.NginxProxy",
):
    '''
    :schema: NginxProxy
    '''

    def __init__(
        self,
        scope: "_constructs_77d1e7e8.Construct",
        id: builtins.str,
        *,
        spec: typing.Union["NginxProxySpec", typing.Dict[builtins.str, typing.Any]],
        metadata: typing.Optional[typing.Union["_cdk8s_d3d9af27.ApiObjectMetadata", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''Defines a "NginxProxy" API object.

        :param scope: the scope in which to define this object.
        :param id: a scope-local name for the object.
        :param spec: 
        :param metadata: 
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__fce00bea25b75530a4c484cb8a5f78f62747c62665d2c37913417430b36a8656)
            check_type(argname="argument scope", value=scope, expected_type=type_hints["scope"])
            check_type(argname="argument id", value=id, expected_type=type_hints["id"])
        props = NginxProxyProps(spec=spec, metadata=metadata)

        jsii.create(self.__class__, self, [scope, id, props])

    @jsii.member(jsii_name="manifest")
    @builtins.classmethod
    def manifest(
        cls,
        *,
        spec: typing.Union["NginxProxySpec", typing.Dict[builtins.str, typing.Any]],
        metadata: typing.Optional[typing.Union["_cdk8s_d3d9af27.ApiObjectMetadata", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> typing.Any:
        '''Renders a Kubernetes manifest for "NginxProxy".

        This can be used to inline resource manifests inside other objects (e.g. as templates).

        :param spec: 
        :param metadata: 
        '''
        props = NginxProxyProps(spec=spec, metadata=metadata)

        return typing.cast(typing.Any, jsii.sinvoke(cls, "manifest", [props]))

    @jsii.member(jsii_name="toJson")
    def to_json(self) -> typing.Any:
        '''Renders the object to Kubernetes JSON.'''
        return typing.cast(typing.Any, jsii.invoke(self, "toJson", []))

    @jsii.python.classproperty
    @jsii.member(jsii_name="GVK")
    def GVK(cls) -> "_cdk8s_d3d9af27.GroupVersionKind":
        '''Returns the apiVersion and kind for "NginxProxy".'''
        return typing.cast("_cdk8s_d3d9af27.GroupVersionKind", jsii.sget(cls, "GVK"))


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxyProps",
    jsii_struct_bases=[],
    name_mapping={"spec": "spec", "metadata": "metadata"},
)
class NginxProxyProps:
    def __init__(
        self,
        *,
        spec: typing.Union["NginxProxySpec", typing.Dict[builtins.str, typing.Any]],
        metadata: typing.Optional[typing.Union["_cdk8s_d3d9af27.ApiObjectMetadata", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''
        :param spec: 
        :param metadata: 

        :schema: NginxProxy
        '''
        if isinstance(spec, dict):
            spec = NginxProxySpec(**spec)
        if isinstance(metadata, dict):
            metadata = _cdk8s_d3d9af27.ApiObjectMetadata(**metadata)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__5a1ade23338ac6adae824aedce57f8b599d099f706616104e6812ea98b83d64f)
            check_type(argname="argument spec", value=spec, expected_type=type_hints["spec"])
            check_type(argname="argument metadata", value=metadata, expected_type=type_hints["metadata"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "spec": spec,
        }
        if metadata is not None:
            self._values["metadata"] = metadata

    @builtins.property
    def spec(self) -> "NginxProxySpec":
        '''
        :schema: NginxProxy#spec
        '''
        result = self._values.get("spec")
        assert result is not None, "Required property 'spec' is missing"
        return typing.cast("NginxProxySpec", result)

    @builtins.property
    def metadata(self) -> typing.Optional["_cdk8s_d3d9af27.ApiObjectMetadata"]:
        '''
        :schema: NginxProxy#metadata
        '''
        result = self._values.get("metadata")
        return typing.cast(typing.Optional["_cdk8s_d3d9af27.ApiObjectMetadata"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxyProps(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpec",
    jsii_struct_bases=[],
    name_mapping={
        "ip_family": "ipFamily",
        "kubernetes": "kubernetes",
        "logging": "logging",
        "metrics": "metrics",
        "rewrite_client_ip": "rewriteClientIp",
        "server_tokens": "serverTokens",
        "telemetry": "telemetry",
    },
)
class NginxProxySpec:
    def __init__(
        self,
        *,
        ip_family: typing.Optional["NginxProxySpecIpFamily"] = None,
        kubernetes: typing.Optional[typing.Union["NginxProxySpecKubernetes", typing.Dict[builtins.str, typing.Any]]] = None,
        logging: typing.Optional[typing.Union["NginxProxySpecLogging", typing.Dict[builtins.str, typing.Any]]] = None,
        metrics: typing.Optional[typing.Union["NginxProxySpecMetrics", typing.Dict[builtins.str, typing.Any]]] = None,
        rewrite_client_ip: typing.Optional[typing.Union["NginxProxySpecRewriteClientIp", typing.Dict[builtins.str, typing.Any]]] = None,
        server_tokens: typing.Optional[builtins.str] = None,
        telemetry: typing.Optional[typing.Union["NginxProxySpecTelemetry", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''
        :param ip_family: 
        :param kubernetes: 
        :param logging: 
        :param metrics: 
        :param rewrite_client_ip: 
        :param server_tokens: 
        :param telemetry: 

        :schema: NginxProxySpec
        '''
        if isinstance(kubernetes, dict):
            kubernetes = NginxProxySpecKubernetes(**kubernetes)
        if isinstance(logging, dict):
            logging = NginxProxySpecLogging(**logging)
        if isinstance(metrics, dict):
            metrics = NginxProxySpecMetrics(**metrics)
        if isinstance(rewrite_client_ip, dict):
            rewrite_client_ip = NginxProxySpecRewriteClientIp(**rewrite_client_ip)
        if isinstance(telemetry, dict):
            telemetry = NginxProxySpecTelemetry(**telemetry)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__720245c621c7ebc971336b2f80f3d0dd8923def71ac7eac21c2ec9a8289e6732)
            check_type(argname="argument ip_family", value=ip_family, expected_type=type_hints["ip_family"])
            check_type(argname="argument kubernetes", value=kubernetes, expected_type=type_hints["kubernetes"])
            check_type(argname="argument logging", value=logging, expected_type=type_hints["logging"])
            check_type(argname="argument metrics", value=metrics, expected_type=type_hints["metrics"])
            check_type(argname="argument rewrite_client_ip", value=rewrite_client_ip, expected_type=type_hints["rewrite_client_ip"])
            check_type(argname="argument server_tokens", value=server_tokens, expected_type=type_hints["server_tokens"])
            check_type(argname="argument telemetry", value=telemetry, expected_type=type_hints["telemetry"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if ip_family is not None:
            self._values["ip_family"] = ip_family
        if kubernetes is not None:
            self._values["kubernetes"] = kubernetes
        if logging is not None:
            self._values["logging"] = logging
        if metrics is not None:
            self._values["metrics"] = metrics
        if rewrite_client_ip is not None:
            self._values["rewrite_client_ip"] = rewrite_client_ip
        if server_tokens is not None:
            self._values["server_tokens"] = server_tokens
        if telemetry is not None:
            self._values["telemetry"] = telemetry

    @builtins.property
    def ip_family(self) -> typing.Optional["NginxProxySpecIpFamily"]:
        '''
        :schema: NginxProxySpec#ipFamily
        '''
        result = self._values.get("ip_family")
        return typing.cast(typing.Optional["NginxProxySpecIpFamily"], result)

    @builtins.property
    def kubernetes(self) -> typing.Optional["NginxProxySpecKubernetes"]:
        '''
        :schema: NginxProxySpec#kubernetes
        '''
        result = self._values.get("kubernetes")
        return typing.cast(typing.Optional["NginxProxySpecKubernetes"], result)

    @builtins.property
    def logging(self) -> typing.Optional["NginxProxySpecLogging"]:
        '''
        :schema: NginxProxySpec#logging
        '''
        result = self._values.get("logging")
        return typing.cast(typing.Optional["NginxProxySpecLogging"], result)

    @builtins.property
    def metrics(self) -> typing.Optional["NginxProxySpecMetrics"]:
        '''
        :schema: NginxProxySpec#metrics
        '''
        result = self._values.get("metrics")
        return typing.cast(typing.Optional["NginxProxySpecMetrics"], result)

    @builtins.property
    def rewrite_client_ip(self) -> typing.Optional["NginxProxySpecRewriteClientIp"]:
        '''
        :schema: NginxProxySpec#rewriteClientIP
        '''
        result = self._values.get("rewrite_client_ip")
        return typing.cast(typing.Optional["NginxProxySpecRewriteClientIp"], result)

    @builtins.property
    def server_tokens(self) -> typing.Optional[builtins.str]:
        '''
        :schema: NginxProxySpec#serverTokens
        '''
        result = self._values.get("server_tokens")
        return typing.cast(typing.Optional[builtins.str], result)

    @builtins.property
    def telemetry(self) -> typing.Optional["NginxProxySpecTelemetry"]:
        '''
        :schema: NginxProxySpec#telemetry
        '''
        result = self._values.get("telemetry")
        return typing.cast(typing.Optional["NginxProxySpecTelemetry"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpec(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(jsii_type="orgnginxgateway.NginxProxySpecIpFamily")
class NginxProxySpecIpFamily(enum.Enum):
    '''
    :schema: NginxProxySpecIpFamily
    '''

    DUAL = "DUAL"
    '''dual.'''
    IPV4 = "IPV4"
    '''ipv4.'''
    IPV6 = "IPV6"
    '''ipv6.'''


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecKubernetes",
    jsii_struct_bases=[],
    name_mapping={"deployment": "deployment", "service": "service"},
)
class NginxProxySpecKubernetes:
    def __init__(
        self,
        *,
        deployment: typing.Optional[typing.Union["NginxProxySpecKubernetesDeployment", typing.Dict[builtins.str, typing.Any]]] = None,
        service: typing.Optional[typing.Union["NginxProxySpecKubernetesService", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''
        :param deployment: 
        :param service: 

        :schema: NginxProxySpecKubernetes
        '''
        if isinstance(deployment, dict):
            deployment = NginxProxySpecKubernetesDeployment(**deployment)
        if isinstance(service, dict):
            service = NginxProxySpecKubernetesService(**service)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__b1bacaa56bb6a2895823efac7ea8a63bca2c9ec969703a1c4ac460e7d6e75492)
            check_type(argname="argument deployment", value=deployment, expected_type=type_hints["deployment"])
            check_type(argname="argument service", value=service, expected_type=type_hints["service"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if deployment is not None:
            self._values["deployment"] = deployment
        if service is not None:
            self._values["service"] = service

    @builtins.property
    def deployment(self) -> typing.Optional["NginxProxySpecKubernetesDeployment"]:
        '''
        :schema: NginxProxySpecKubernetes#deployment
        '''
        result = self._values.get("deployment")
        return typing.cast(typing.Optional["NginxProxySpecKubernetesDeployment"], result)

    @builtins.property
    def service(self) -> typing.Optional["NginxProxySpecKubernetesService"]:
        '''
        :schema: NginxProxySpecKubernetes#service
        '''
        result = self._values.get("service")
        return typing.cast(typing.Optional["NginxProxySpecKubernetesService"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecKubernetes(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecKubernetesDeployment",
    jsii_struct_bases=[],
    name_mapping={
        "container": "container",
        "patches": "patches",
        "pod": "pod",
        "replicas": "replicas",
    },
)
class NginxProxySpecKubernetesDeployment:
    def __init__(
        self,
        *,
        container: typing.Optional[typing.Union["NginxProxySpecKubernetesDeploymentContainer", typing.Dict[builtins.str, typing.Any]]] = None,
        patches: typing.Optional[typing.Sequence[typing.Union["NginxProxySpecKubernetesDeploymentPatches", typing.Dict[builtins.str, typing.Any]]]] = None,
        pod: typing.Optional[typing.Union["NginxProxySpecKubernetesDeploymentPod", typing.Dict[builtins.str, typing.Any]]] = None,
        replicas: typing.Optional[jsii.Number] = None,
    ) -> None:
        '''
        :param container: 
        :param patches: 
        :param pod: 
        :param replicas: 

        :schema: NginxProxySpecKubernetesDeployment
        '''
        if isinstance(container, dict):
            container = NginxProxySpecKubernetesDeploymentContainer(**container)
        if isinstance(pod, dict):
            pod = NginxProxySpecKubernetesDeploymentPod(**pod)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__d28313f73dbd3bc4b9735a8f7d7e69575da75624f69a0b8bd00a441d5f62e184)
            check_type(argname="argument container", value=container, expected_type=type_hints["container"])
            check_type(argname="argument patches", value=patches, expected_type=type_hints["patches"])
            check_type(argname="argument pod", value=pod, expected_type=type_hints["pod"])
            check_type(argname="argument replicas", value=replicas, expected_type=type_hints["replicas"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if container is not None:
            self._values["container"] = container
        if patches is not None:
            self._values["patches"] = patches
        if pod is not None:
            self._values["pod"] = pod
        if replicas is not None:
            self._values["replicas"] = replicas

    @builtins.property
    def container(
        self,
    ) -> typing.Optional["NginxProxySpecKubernetesDeploymentContainer"]:
        '''
        :schema: NginxProxySpecKubernetesDeployment#container
        '''
        result = self._values.get("container")
        return typing.cast(typing.Optional["NginxProxySpecKubernetesDeploymentContainer"], result)

    @builtins.property
    def patches(
        self,
    ) -> typing.Optional[typing.List["NginxProxySpecKubernetesDeploymentPatches"]]:
        '''
        :schema: NginxProxySpecKubernetesDeployment#patches
        '''
        result = self._values.get("patches")
        return typing.cast(typing.Optional[typing.List["NginxProxySpecKubernetesDeploymentPatches"]], result)

    @builtins.property
    def pod(self) -> typing.Optional["NginxProxySpecKubernetesDeploymentPod"]:
        '''
        :schema: NginxProxySpecKubernetesDeployment#pod
        '''
        result = self._values.get("pod")
        return typing.cast(typing.Optional["NginxProxySpecKubernetesDeploymentPod"], result)

    @builtins.property
    def replicas(self) -> typing.Optional[jsii.Number]:
        '''
        :schema: NginxProxySpecKubernetesDeployment#replicas
        '''
        result = self._values.get("replicas")
        return typing.cast(typing.Optional[jsii.Number], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecKubernetesDeployment(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecKubernetesDeploymentContainer",
    jsii_struct_bases=[],
    name_mapping={"resources": "resources"},
)
class NginxProxySpecKubernetesDeploymentContainer:
    def __init__(
        self,
        *,
        resources: typing.Optional[typing.Union["NginxProxySpecKubernetesDeploymentContainerResources", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''
        :param resources: 

        :schema: NginxProxySpecKubernetesDeploymentContainer
        '''
        if isinstance(resources, dict):
            resources = NginxProxySpecKubernetesDeploymentContainerResources(**resources)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__47eb128aa89c664aeeddfbca969209dc5f820c74e8e882d84f8483f232cccaf5)
            check_type(argname="argument resources", value=resources, expected_type=type_hints["resources"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if resources is not None:
            self._values["resources"] = resources

    @builtins.property
    def resources(
        self,
    ) -> typing.Optional["NginxProxySpecKubernetesDeploymentContainerResources"]:
        '''
        :schema: NginxProxySpecKubernetesDeploymentContainer#resources
        '''
        result = self._values.get("resources")
        return typing.cast(typing.Optional["NginxProxySpecKubernetesDeploymentContainerResources"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecKubernetesDeploymentContainer(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecKubernetesDeploymentContainerResources",
    jsii_struct_bases=[],
    name_mapping={"claims": "claims", "limits": "limits", "requests": "requests"},
)
class NginxProxySpecKubernetesDeploymentContainerResources:
    def __init__(
        self,
        *,
        claims: typing.Optional[typing.Sequence[typing.Union["NginxProxySpecKubernetesDeploymentContainerResourcesClaims", typing.Dict[builtins.str, typing.Any]]]] = None,
        limits: typing.Optional[typing.Mapping[builtins.str, "NginxProxySpecKubernetesDeploymentContainerResourcesLimits"]] = None,
        requests: typing.Optional[typing.Mapping[builtins.str, "NginxProxySpecKubernetesDeploymentContainerResourcesRequests"]] = None,
    ) -> None:
        '''
        :param claims: 
        :param limits: 
        :param requests: 

        :schema: NginxProxySpecKubernetesDeploymentContainerResources
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__4de5a885d7e343fac8744640ed5ff0fdbe621ec473fc2d320edcd553dbcd5197)
            check_type(argname="argument claims", value=claims, expected_type=type_hints["claims"])
            check_type(argname="argument limits", value=limits, expected_type=type_hints["limits"])
            check_type(argname="argument requests", value=requests, expected_type=type_hints["requests"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if claims is not None:
            self._values["claims"] = claims
        if limits is not None:
            self._values["limits"] = limits
        if requests is not None:
            self._values["requests"] = requests

    @builtins.property
    def claims(
        self,
    ) -> typing.Optional[typing.List["NginxProxySpecKubernetesDeploymentContainerResourcesClaims"]]:
        '''
        :schema: NginxProxySpecKubernetesDeploymentContainerResources#claims
        '''
        result = self._values.get("claims")
        return typing.cast(typing.Optional[typing.List["NginxProxySpecKubernetesDeploymentContainerResourcesClaims"]], result)

    @builtins.property
    def limits(
        self,
    ) -> typing.Optional[typing.Mapping[builtins.str, "NginxProxySpecKubernetesDeploymentContainerResourcesLimits"]]:
        '''
        :schema: NginxProxySpecKubernetesDeploymentContainerResources#limits
        '''
        result = self._values.get("limits")
        return typing.cast(typing.Optional[typing.Mapping[builtins.str, "NginxProxySpecKubernetesDeploymentContainerResourcesLimits"]], result)

    @builtins.property
    def requests(
        self,
    ) -> typing.Optional[typing.Mapping[builtins.str, "NginxProxySpecKubernetesDeploymentContainerResourcesRequests"]]:
        '''
        :schema: NginxProxySpecKubernetesDeploymentContainerResources#requests
        '''
        result = self._values.get("requests")
        return typing.cast(typing.Optional[typing.Mapping[builtins.str, "NginxProxySpecKubernetesDeploymentContainerResourcesRequests"]], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecKubernetesDeploymentContainerResources(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecKubernetesDeploymentContainerResourcesClaims",
    jsii_struct_bases=[],
    name_mapping={"name": "name", "request": "request"},
)
class NginxProxySpecKubernetesDeploymentContainerResourcesClaims:
    def __init__(
        self,
        *,
        name: builtins.str,
        request: typing.Optional[builtins.str] = None,
    ) -> None:
        '''
        :param name: 
        :param request: 

        :schema: NginxProxySpecKubernetesDeploymentContainerResourcesClaims
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__59e515198b12cbb1c8db4182d186a49ee40aa54431da4d13ac12ceaa905c80fe)
            check_type(argname="argument name", value=name, expected_type=type_hints["name"])
            check_type(argname="argument request", value=request, expected_type=type_hints["request"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "name": name,
        }
        if request is not None:
            self._values["request"] = request

    @builtins.property
    def name(self) -> builtins.str:
        '''
        :schema: NginxProxySpecKubernetesDeploymentContainerResourcesClaims#name
        '''
        result = self._values.get("name")
        assert result is not None, "Required property 'name' is missing"
        return typing.cast(builtins.str, result)

    @builtins.property
    def request(self) -> typing.Optional[builtins.str]:
        '''
        :schema: NginxProxySpecKubernetesDeploymentContainerResourcesClaims#request
        '''
        result = self._values.get("request")
        return typing.cast(typing.Optional[builtins.str], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecKubernetesDeploymentContainerResourcesClaims(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


class NginxProxySpecKubernetesDeploymentContainerResourcesLimits(
    metaclass=jsii.JSIIMeta,
    jsii_type="orgnginxgateway.NginxProxySpecKubernetesDeploymentContainerResourcesLimits",
):
    '''
    :schema: NginxProxySpecKubernetesDeploymentContainerResourcesLimits
    '''

    @jsii.member(jsii_name="fromNumber")
    @builtins.classmethod
    def from_number(
        cls,
        value: jsii.Number,
    ) -> "NginxProxySpecKubernetesDeploymentContainerResourcesLimits":
        '''
        :param value: -
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__cea1750b7cb509bf6afbdfa60ae72aeb5d45ffb5d6955b7a49800cfee6fa4839)
            check_type(argname="argument value", value=value, expected_type=type_hints["value"])
        return typing.cast("NginxProxySpecKubernetesDeploymentContainerResourcesLimits", jsii.sinvoke(cls, "fromNumber", [value]))

    @jsii.member(jsii_name="fromString")
    @builtins.classmethod
    def from_string(
        cls,
        value: builtins.str,
    ) -> "NginxProxySpecKubernetesDeploymentContainerResourcesLimits":
        '''
        :param value: -
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__a65cc3de9342b5beaa0c9742a0d3e212a6ca5a672c4877ebf8164b18d7867ac4)
            check_type(argname="argument value", value=value, expected_type=type_hints["value"])
        return typing.cast("NginxProxySpecKubernetesDeploymentContainerResourcesLimits", jsii.sinvoke(cls, "fromString", [value]))

    @builtins.property
    @jsii.member(jsii_name="value")
    def value(self) -> typing.Union[builtins.str, jsii.Number]:
        return typing.cast(typing.Union[builtins.str, jsii.Number], jsii.get(self, "value"))


class NginxProxySpecKubernetesDeploymentContainerResourcesRequests(
    metaclass=jsii.JSIIMeta,
    jsii_type="orgnginxgateway.NginxProxySpecKubernetesDeploymentContainerResourcesRequests",
):
    '''
    :schema: NginxProxySpecKubernetesDeploymentContainerResourcesRequests
    '''

    @jsii.member(jsii_name="fromNumber")
    @builtins.classmethod
    def from_number(
        cls,
        value: jsii.Number,
    ) -> "NginxProxySpecKubernetesDeploymentContainerResourcesRequests":
        '''
        :param value: -
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__f461ed1d1c9535aea5d181be7ea6c52529683689bc3adc4b6f78cbc2444c685f)
            check_type(argname="argument value", value=value, expected_type=type_hints["value"])
        return typing.cast("NginxProxySpecKubernetesDeploymentContainerResourcesRequests", jsii.sinvoke(cls, "fromNumber", [value]))

    @jsii.member(jsii_name="fromString")
    @builtins.classmethod
    def from_string(
        cls,
        value: builtins.str,
    ) -> "NginxProxySpecKubernetesDeploymentContainerResourcesRequests":
        '''
        :param value: -
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__53dfe8cd66c02324b9931aa1394b8b0f609dfb1957fc46a66fca894d89811cb3)
            check_type(argname="argument value", value=value, expected_type=type_hints["value"])
        return typing.cast("NginxProxySpecKubernetesDeploymentContainerResourcesRequests", jsii.sinvoke(cls, "fromString", [value]))

    @builtins.property
    @jsii.member(jsii_name="value")
    def value(self) -> typing.Union[builtins.str, jsii.Number]:
        return typing.cast(typing.Union[builtins.str, jsii.Number], jsii.get(self, "value"))


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecKubernetesDeploymentPatches",
    jsii_struct_bases=[],
    name_mapping={"type": "type", "value": "value"},
)
class NginxProxySpecKubernetesDeploymentPatches:
    def __init__(
        self,
        *,
        type: typing.Optional["NginxProxySpecKubernetesDeploymentPatchesType"] = None,
        value: typing.Any = None,
    ) -> None:
        '''
        :param type: 
        :param value: 

        :schema: NginxProxySpecKubernetesDeploymentPatches
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__cc57bc44f06300dafabd89a32c7e50891db790a5d46157c0d797283c666ea9a2)
            check_type(argname="argument type", value=type, expected_type=type_hints["type"])
            check_type(argname="argument value", value=value, expected_type=type_hints["value"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if type is not None:
            self._values["type"] = type
        if value is not None:
            self._values["value"] = value

    @builtins.property
    def type(self) -> typing.Optional["NginxProxySpecKubernetesDeploymentPatchesType"]:
        '''
        :schema: NginxProxySpecKubernetesDeploymentPatches#type
        '''
        result = self._values.get("type")
        return typing.cast(typing.Optional["NginxProxySpecKubernetesDeploymentPatchesType"], result)

    @builtins.property
    def value(self) -> typing.Any:
        '''
        :schema: NginxProxySpecKubernetesDeploymentPatches#value
        '''
        result = self._values.get("value")
        return typing.cast(typing.Any, result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecKubernetesDeploymentPatches(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(jsii_type="orgnginxgateway.NginxProxySpecKubernetesDeploymentPatchesType")
class NginxProxySpecKubernetesDeploymentPatchesType(enum.Enum):
    '''
    :schema: NginxProxySpecKubernetesDeploymentPatchesType
    '''

    STRATEGIC_MERGE = "STRATEGIC_MERGE"
    '''StrategicMerge.'''
    MERGE = "MERGE"
    '''Merge.'''
    JSON_PATCH = "JSON_PATCH"
    '''JSONPatch.'''


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecKubernetesDeploymentPod",
    jsii_struct_bases=[],
    name_mapping={"termination_grace_period_seconds": "terminationGracePeriodSeconds"},
)
class NginxProxySpecKubernetesDeploymentPod:
    def __init__(
        self,
        *,
        termination_grace_period_seconds: typing.Optional[jsii.Number] = None,
    ) -> None:
        '''
        :param termination_grace_period_seconds: 

        :schema: NginxProxySpecKubernetesDeploymentPod
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__833c6e2fc3fb49dbebb1b914fee2c762978a248c9ebf77bf9719cc3e1abf310a)
            check_type(argname="argument termination_grace_period_seconds", value=termination_grace_period_seconds, expected_type=type_hints["termination_grace_period_seconds"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if termination_grace_period_seconds is not None:
            self._values["termination_grace_period_seconds"] = termination_grace_period_seconds

    @builtins.property
    def termination_grace_period_seconds(self) -> typing.Optional[jsii.Number]:
        '''
        :schema: NginxProxySpecKubernetesDeploymentPod#terminationGracePeriodSeconds
        '''
        result = self._values.get("termination_grace_period_seconds")
        return typing.cast(typing.Optional[jsii.Number], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecKubernetesDeploymentPod(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecKubernetesService",
    jsii_struct_bases=[],
    name_mapping={
        "external_traffic_policy": "externalTrafficPolicy",
        "load_balancer_class": "loadBalancerClass",
        "load_balancer_ip": "loadBalancerIp",
        "load_balancer_source_ranges": "loadBalancerSourceRanges",
        "node_ports": "nodePorts",
        "patches": "patches",
        "type": "type",
    },
)
class NginxProxySpecKubernetesService:
    def __init__(
        self,
        *,
        external_traffic_policy: typing.Optional["NginxProxySpecKubernetesServiceExternalTrafficPolicy"] = None,
        load_balancer_class: typing.Optional[builtins.str] = None,
        load_balancer_ip: typing.Optional[builtins.str] = None,
        load_balancer_source_ranges: typing.Optional[typing.Sequence[builtins.str]] = None,
        node_ports: typing.Optional[typing.Sequence[typing.Union["NginxProxySpecKubernetesServiceNodePorts", typing.Dict[builtins.str, typing.Any]]]] = None,
        patches: typing.Optional[typing.Sequence[typing.Union["NginxProxySpecKubernetesServicePatches", typing.Dict[builtins.str, typing.Any]]]] = None,
        type: typing.Optional["NginxProxySpecKubernetesServiceType"] = None,
    ) -> None:
        '''
        :param external_traffic_policy: 
        :param load_balancer_class: 
        :param load_balancer_ip: 
        :param load_balancer_source_ranges: 
        :param node_ports: 
        :param patches: 
        :param type: 

        :schema: NginxProxySpecKubernetesService
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__4bd6178a621351265f79fae9b77c1f387f5f7fd02ca20b56e38224525c219b87)
            check_type(argname="argument external_traffic_policy", value=external_traffic_policy, expected_type=type_hints["external_traffic_policy"])
            check_type(argname="argument load_balancer_class", value=load_balancer_class, expected_type=type_hints["load_balancer_class"])
            check_type(argname="argument load_balancer_ip", value=load_balancer_ip, expected_type=type_hints["load_balancer_ip"])
            check_type(argname="argument load_balancer_source_ranges", value=load_balancer_source_ranges, expected_type=type_hints["load_balancer_source_ranges"])
            check_type(argname="argument node_ports", value=node_ports, expected_type=type_hints["node_ports"])
            check_type(argname="argument patches", value=patches, expected_type=type_hints["patches"])
            check_type(argname="argument type", value=type, expected_type=type_hints["type"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if external_traffic_policy is not None:
            self._values["external_traffic_policy"] = external_traffic_policy
        if load_balancer_class is not None:
            self._values["load_balancer_class"] = load_balancer_class
        if load_balancer_ip is not None:
            self._values["load_balancer_ip"] = load_balancer_ip
        if load_balancer_source_ranges is not None:
            self._values["load_balancer_source_ranges"] = load_balancer_source_ranges
        if node_ports is not None:
            self._values["node_ports"] = node_ports
        if patches is not None:
            self._values["patches"] = patches
        if type is not None:
            self._values["type"] = type

    @builtins.property
    def external_traffic_policy(
        self,
    ) -> typing.Optional["NginxProxySpecKubernetesServiceExternalTrafficPolicy"]:
        '''
        :schema: NginxProxySpecKubernetesService#externalTrafficPolicy
        '''
        result = self._values.get("external_traffic_policy")
        return typing.cast(typing.Optional["NginxProxySpecKubernetesServiceExternalTrafficPolicy"], result)

    @builtins.property
    def load_balancer_class(self) -> typing.Optional[builtins.str]:
        '''
        :schema: NginxProxySpecKubernetesService#loadBalancerClass
        '''
        result = self._values.get("load_balancer_class")
        return typing.cast(typing.Optional[builtins.str], result)

    @builtins.property
    def load_balancer_ip(self) -> typing.Optional[builtins.str]:
        '''
        :schema: NginxProxySpecKubernetesService#loadBalancerIP
        '''
        result = self._values.get("load_balancer_ip")
        return typing.cast(typing.Optional[builtins.str], result)

    @builtins.property
    def load_balancer_source_ranges(self) -> typing.Optional[typing.List[builtins.str]]:
        '''
        :schema: NginxProxySpecKubernetesService#loadBalancerSourceRanges
        '''
        result = self._values.get("load_balancer_source_ranges")
        return typing.cast(typing.Optional[typing.List[builtins.str]], result)

    @builtins.property
    def node_ports(
        self,
    ) -> typing.Optional[typing.List["NginxProxySpecKubernetesServiceNodePorts"]]:
        '''
        :schema: NginxProxySpecKubernetesService#nodePorts
        '''
        result = self._values.get("node_ports")
        return typing.cast(typing.Optional[typing.List["NginxProxySpecKubernetesServiceNodePorts"]], result)

    @builtins.property
    def patches(
        self,
    ) -> typing.Optional[typing.List["NginxProxySpecKubernetesServicePatches"]]:
        '''
        :schema: NginxProxySpecKubernetesService#patches
        '''
        result = self._values.get("patches")
        return typing.cast(typing.Optional[typing.List["NginxProxySpecKubernetesServicePatches"]], result)

    @builtins.property
    def type(self) -> typing.Optional["NginxProxySpecKubernetesServiceType"]:
        '''
        :schema: NginxProxySpecKubernetesService#type
        '''
        result = self._values.get("type")
        return typing.cast(typing.Optional["NginxProxySpecKubernetesServiceType"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecKubernetesService(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(
    jsii_type="orgnginxgateway.NginxProxySpecKubernetesServiceExternalTrafficPolicy"
)
class NginxProxySpecKubernetesServiceExternalTrafficPolicy(enum.Enum):
    '''
    :schema: NginxProxySpecKubernetesServiceExternalTrafficPolicy
    '''

    CLUSTER = "CLUSTER"
    '''Cluster.'''
    LOCAL = "LOCAL"
    '''Local.'''


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecKubernetesServiceNodePorts",
    jsii_struct_bases=[],
    name_mapping={"listener_port": "listenerPort", "port": "port"},
)
class NginxProxySpecKubernetesServiceNodePorts:
    def __init__(self, *, listener_port: jsii.Number, port: jsii.Number) -> None:
        '''
        :param listener_port: 
        :param port: 

        :schema: NginxProxySpecKubernetesServiceNodePorts
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__2ce21c43c83761b7f1db2c3e783204f7f7117d1c0eb5aeca5ba94ad992413505)
            check_type(argname="argument listener_port", value=listener_port, expected_type=type_hints["listener_port"])
            check_type(argname="argument port", value=port, expected_type=type_hints["port"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "listener_port": listener_port,
            "port": port,
        }

    @builtins.property
    def listener_port(self) -> jsii.Number:
        '''
        :schema: NginxProxySpecKubernetesServiceNodePorts#listenerPort
        '''
        result = self._values.get("listener_port")
        assert result is not None, "Required property 'listener_port' is missing"
        return typing.cast(jsii.Number, result)

    @builtins.property
    def port(self) -> jsii.Number:
        '''
        :schema: NginxProxySpecKubernetesServiceNodePorts#port
        '''
        result = self._values.get("port")
        assert result is not None, "Required property 'port' is missing"
        return typing.cast(jsii.Number, result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecKubernetesServiceNodePorts(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecKubernetesServicePatches",
    jsii_struct_bases=[],
    name_mapping={"type": "type", "value": "value"},
)
class NginxProxySpecKubernetesServicePatches:
    def __init__(
        self,
        *,
        type: typing.Optional["NginxProxySpecKubernetesServicePatchesType"] = None,
        value: typing.Any = None,
    ) -> None:
        '''
        :param type: 
        :param value: 

        :schema: NginxProxySpecKubernetesServicePatches
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__daec014ff3b2412bba4aa666ddbb6b552fa97e48bf0b9a22a69d2e854f14cb89)
            check_type(argname="argument type", value=type, expected_type=type_hints["type"])
            check_type(argname="argument value", value=value, expected_type=type_hints["value"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if type is not None:
            self._values["type"] = type
        if value is not None:
            self._values["value"] = value

    @builtins.property
    def type(self) -> typing.Optional["NginxProxySpecKubernetesServicePatchesType"]:
        '''
        :schema: NginxProxySpecKubernetesServicePatches#type
        '''
        result = self._values.get("type")
        return typing.cast(typing.Optional["NginxProxySpecKubernetesServicePatchesType"], result)

    @builtins.property
    def value(self) -> typing.Any:
        '''
        :schema: NginxProxySpecKubernetesServicePatches#value
        '''
        result = self._values.get("value")
        return typing.cast(typing.Any, result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecKubernetesServicePatches(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(jsii_type="orgnginxgateway.NginxProxySpecKubernetesServicePatchesType")
class NginxProxySpecKubernetesServicePatchesType(enum.Enum):
    '''
    :schema: NginxProxySpecKubernetesServicePatchesType
    '''

    STRATEGIC_MERGE = "STRATEGIC_MERGE"
    '''StrategicMerge.'''
    MERGE = "MERGE"
    '''Merge.'''
    JSON_PATCH = "JSON_PATCH"
    '''JSONPatch.'''


@jsii.enum(jsii_type="orgnginxgateway.NginxProxySpecKubernetesServiceType")
class NginxProxySpecKubernetesServiceType(enum.Enum):
    '''
    :schema: NginxProxySpecKubernetesServiceType
    '''

    CLUSTER_IP = "CLUSTER_IP"
    '''ClusterIP.'''
    LOAD_BALANCER = "LOAD_BALANCER"
    '''LoadBalancer.'''
    NODE_PORT = "NODE_PORT"
    '''NodePort.'''


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecLogging",
    jsii_struct_bases=[],
    name_mapping={
        "access_log": "accessLog",
        "agent_level": "agentLevel",
        "error_level": "errorLevel",
    },
)
class NginxProxySpecLogging:
    def __init__(
        self,
        *,
        access_log: typing.Optional[typing.Union["NginxProxySpecLoggingAccessLog", typing.Dict[builtins.str, typing.Any]]] = None,
        agent_level: typing.Optional["NginxProxySpecLoggingAgentLevel"] = None,
        error_level: typing.Optional["NginxProxySpecLoggingErrorLevel"] = None,
    ) -> None:
        '''
        :param access_log: 
        :param agent_level: 
        :param error_level: 

        :schema: NginxProxySpecLogging
        '''
        if isinstance(access_log, dict):
            access_log = NginxProxySpecLoggingAccessLog(**access_log)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__e3e3ea54eb2b41ccc02e501e7fdb175c36bc2482bb816a572d9c79060e03d9cd)
            check_type(argname="argument access_log", value=access_log, expected_type=type_hints["access_log"])
            check_type(argname="argument agent_level", value=agent_level, expected_type=type_hints["agent_level"])
            check_type(argname="argument error_level", value=error_level, expected_type=type_hints["error_level"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if access_log is not None:
            self._values["access_log"] = access_log
        if agent_level is not None:
            self._values["agent_level"] = agent_level
        if error_level is not None:
            self._values["error_level"] = error_level

    @builtins.property
    def access_log(self) -> typing.Optional["NginxProxySpecLoggingAccessLog"]:
        '''
        :schema: NginxProxySpecLogging#accessLog
        '''
        result = self._values.get("access_log")
        return typing.cast(typing.Optional["NginxProxySpecLoggingAccessLog"], result)

    @builtins.property
    def agent_level(self) -> typing.Optional["NginxProxySpecLoggingAgentLevel"]:
        '''
        :schema: NginxProxySpecLogging#agentLevel
        '''
        result = self._values.get("agent_level")
        return typing.cast(typing.Optional["NginxProxySpecLoggingAgentLevel"], result)

    @builtins.property
    def error_level(self) -> typing.Optional["NginxProxySpecLoggingErrorLevel"]:
        '''
        :schema: NginxProxySpecLogging#errorLevel
        '''
        result = self._values.get("error_level")
        return typing.cast(typing.Optional["NginxProxySpecLoggingErrorLevel"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecLogging(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecLoggingAccessLog",
    jsii_struct_bases=[],
    name_mapping={"disable": "disable", "escape": "escape", "format": "format"},
)
class NginxProxySpecLoggingAccessLog:
    def __init__(
        self,
        *,
        disable: typing.Optional[builtins.bool] = None,
        escape: typing.Optional["NginxProxySpecLoggingAccessLogEscape"] = None,
        format: typing.Optional[builtins.str] = None,
    ) -> None:
        '''
        :param disable: 
        :param escape: 
        :param format: 

        :schema: NginxProxySpecLoggingAccessLog
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__3f9e00a7e40f61db178d3230a0d553b0fa093a9f78ec9a7744e519ddc4896198)
            check_type(argname="argument disable", value=disable, expected_type=type_hints["disable"])
            check_type(argname="argument escape", value=escape, expected_type=type_hints["escape"])
            check_type(argname="argument format", value=format, expected_type=type_hints["format"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if disable is not None:
            self._values["disable"] = disable
        if escape is not None:
            self._values["escape"] = escape
        if format is not None:
            self._values["format"] = format

    @builtins.property
    def disable(self) -> typing.Optional[builtins.bool]:
        '''
        :schema: NginxProxySpecLoggingAccessLog#disable
        '''
        result = self._values.get("disable")
        return typing.cast(typing.Optional[builtins.bool], result)

    @builtins.property
    def escape(self) -> typing.Optional["NginxProxySpecLoggingAccessLogEscape"]:
        '''
        :schema: NginxProxySpecLoggingAccessLog#escape
        '''
        result = self._values.get("escape")
        return typing.cast(typing.Optional["NginxProxySpecLoggingAccessLogEscape"], result)

    @builtins.property
    def format(self) -> typing.Optional[builtins.str]:
        '''
        :schema: NginxProxySpecLoggingAccessLog#format
        '''
        result = self._values.get("format")
        return typing.cast(typing.Optional[builtins.str], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecLoggingAccessLog(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(jsii_type="orgnginxgateway.NginxProxySpecLoggingAccessLogEscape")
class NginxProxySpecLoggingAccessLogEscape(enum.Enum):
    '''
    :schema: NginxProxySpecLoggingAccessLogEscape
    '''

    DEFAULT = "DEFAULT"
    '''default.'''
    JSON = "JSON"
    '''json.'''
    NONE = "NONE"
    '''none.'''


@jsii.enum(jsii_type="orgnginxgateway.NginxProxySpecLoggingAgentLevel")
class NginxProxySpecLoggingAgentLevel(enum.Enum):
    '''
    :schema: NginxProxySpecLoggingAgentLevel
    '''

    DEBUG = "DEBUG"
    '''debug.'''
    INFO = "INFO"
    '''info.'''
    ERROR = "ERROR"
    '''error.'''
    PANIC = "PANIC"
    '''panic.'''
    FATAL = "FATAL"
    '''fatal.'''


@jsii.enum(jsii_type="orgnginxgateway.NginxProxySpecLoggingErrorLevel")
class NginxProxySpecLoggingErrorLevel(enum.Enum):
    '''
    :schema: NginxProxySpecLoggingErrorLevel
    '''

    DEBUG = "DEBUG"
    '''debug.'''
    INFO = "INFO"
    '''info.'''
    NOTICE = "NOTICE"
    '''notice.'''
    WARN = "WARN"
    '''warn.'''
    ERROR = "ERROR"
    '''error.'''
    CRIT = "CRIT"
    '''crit.'''
    ALERT = "ALERT"
    '''alert.'''
    EMERG = "EMERG"
    '''emerg.'''


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecMetrics",
    jsii_struct_bases=[],
    name_mapping={"disable": "disable", "port": "port"},
)
class NginxProxySpecMetrics:
    def __init__(
        self,
        *,
        disable: typing.Optional[builtins.bool] = None,
        port: typing.Optional[jsii.Number] = None,
    ) -> None:
        '''
        :param disable: 
        :param port: 

        :schema: NginxProxySpecMetrics
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__9c0f2ccc0dbb847ab7822765c122e8a934ab20bb2543413770a26535715e81d2)
            check_type(argname="argument disable", value=disable, expected_type=type_hints["disable"])
            check_type(argname="argument port", value=port, expected_type=type_hints["port"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if disable is not None:
            self._values["disable"] = disable
        if port is not None:
            self._values["port"] = port

    @builtins.property
    def disable(self) -> typing.Optional[builtins.bool]:
        '''
        :schema: NginxProxySpecMetrics#disable
        '''
        result = self._values.get("disable")
        return typing.cast(typing.Optional[builtins.bool], result)

    @builtins.property
    def port(self) -> typing.Optional[jsii.Number]:
        '''
        :schema: NginxProxySpecMetrics#port
        '''
        result = self._values.get("port")
        return typing.cast(typing.Optional[jsii.Number], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecMetrics(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecRewriteClientIp",
    jsii_struct_bases=[],
    name_mapping={
        "mode": "mode",
        "set_ip_recursively": "setIpRecursively",
        "trusted_addresses": "trustedAddresses",
    },
)
class NginxProxySpecRewriteClientIp:
    def __init__(
        self,
        *,
        mode: typing.Optional["NginxProxySpecRewriteClientIpMode"] = None,
        set_ip_recursively: typing.Optional[builtins.bool] = None,
        trusted_addresses: typing.Optional[typing.Sequence[typing.Union["NginxProxySpecRewriteClientIpTrustedAddresses", typing.Dict[builtins.str, typing.Any]]]] = None,
    ) -> None:
        '''
        :param mode: 
        :param set_ip_recursively: 
        :param trusted_addresses: 

        :schema: NginxProxySpecRewriteClientIp
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__193e1688f6f647a2e6cd6e5586f954b31ee385897002b8eb4e269b755d15c749)
            check_type(argname="argument mode", value=mode, expected_type=type_hints["mode"])
            check_type(argname="argument set_ip_recursively", value=set_ip_recursively, expected_type=type_hints["set_ip_recursively"])
            check_type(argname="argument trusted_addresses", value=trusted_addresses, expected_type=type_hints["trusted_addresses"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if mode is not None:
            self._values["mode"] = mode
        if set_ip_recursively is not None:
            self._values["set_ip_recursively"] = set_ip_recursively
        if trusted_addresses is not None:
            self._values["trusted_addresses"] = trusted_addresses

    @builtins.property
    def mode(self) -> typing.Optional["NginxProxySpecRewriteClientIpMode"]:
        '''
        :schema: NginxProxySpecRewriteClientIp#mode
        '''
        result = self._values.get("mode")
        return typing.cast(typing.Optional["NginxProxySpecRewriteClientIpMode"], result)

    @builtins.property
    def set_ip_recursively(self) -> typing.Optional[builtins.bool]:
        '''
        :schema: NginxProxySpecRewriteClientIp#setIPRecursively
        '''
        result = self._values.get("set_ip_recursively")
        return typing.cast(typing.Optional[builtins.bool], result)

    @builtins.property
    def trusted_addresses(
        self,
    ) -> typing.Optional[typing.List["NginxProxySpecRewriteClientIpTrustedAddresses"]]:
        '''
        :schema: NginxProxySpecRewriteClientIp#trustedAddresses
        '''
        result = self._values.get("trusted_addresses")
        return typing.cast(typing.Optional[typing.List["NginxProxySpecRewriteClientIpTrustedAddresses"]], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecRewriteClientIp(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(jsii_type="orgnginxgateway.NginxProxySpecRewriteClientIpMode")
class NginxProxySpecRewriteClientIpMode(enum.Enum):
    '''
    :schema: NginxProxySpecRewriteClientIpMode
    '''

    PROXY_PROTOCOL = "PROXY_PROTOCOL"
    '''ProxyProtocol.'''
    X_FORWARDED_FOR = "X_FORWARDED_FOR"
    '''XForwardedFor.'''


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecRewriteClientIpTrustedAddresses",
    jsii_struct_bases=[],
    name_mapping={"type": "type", "value": "value"},
)
class NginxProxySpecRewriteClientIpTrustedAddresses:
    def __init__(
        self,
        *,
        type: "NginxProxySpecRewriteClientIpTrustedAddressesType",
        value: builtins.str,
    ) -> None:
        '''
        :param type: 
        :param value: 

        :schema: NginxProxySpecRewriteClientIpTrustedAddresses
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__8dbb69169ab16123b3b426d9d3f6a3887d888567e7220c6fd57a735e873d072d)
            check_type(argname="argument type", value=type, expected_type=type_hints["type"])
            check_type(argname="argument value", value=value, expected_type=type_hints["value"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "type": type,
            "value": value,
        }

    @builtins.property
    def type(self) -> "NginxProxySpecRewriteClientIpTrustedAddressesType":
        '''
        :schema: NginxProxySpecRewriteClientIpTrustedAddresses#type
        '''
        result = self._values.get("type")
        assert result is not None, "Required property 'type' is missing"
        return typing.cast("NginxProxySpecRewriteClientIpTrustedAddressesType", result)

    @builtins.property
    def value(self) -> builtins.str:
        '''
        :schema: NginxProxySpecRewriteClientIpTrustedAddresses#value
        '''
        result = self._values.get("value")
        assert result is not None, "Required property 'value' is missing"
        return typing.cast(builtins.str, result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecRewriteClientIpTrustedAddresses(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(
    jsii_type="orgnginxgateway.NginxProxySpecRewriteClientIpTrustedAddressesType"
)
class NginxProxySpecRewriteClientIpTrustedAddressesType(enum.Enum):
    '''
    :schema: NginxProxySpecRewriteClientIpTrustedAddressesType
    '''

    CIDR = "CIDR"
    '''CIDR.'''
    IP_ADDRESS = "IP_ADDRESS"
    '''IPAddress.'''
    HOSTNAME = "HOSTNAME"
    '''Hostname.'''


@jsii.data_type(
    jsii_type="orgnginxgateway.NginxProxySpecTelemetry",
    jsii_struct_bases=[],
    name_mapping={"disabled_features": "disabledFeatures"},
)
class NginxProxySpecTelemetry:
    def __init__(
        self,
        *,
        disabled_features: typing.Optional[typing.Sequence["NginxProxySpecTelemetryDisabledFeatures"]] = None,
    ) -> None:
        '''
        :param disabled_features: 

        :schema: NginxProxySpecTelemetry
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__afd7188fef25e2255b5713a8b460ffdee8551df5c70028d34d6ee007a18c6da3)
            check_type(argname="argument disabled_features", value=disabled_features, expected_type=type_hints["disabled_features"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if disabled_features is not None:
            self._values["disabled_features"] = disabled_features

    @builtins.property
    def disabled_features(
        self,
    ) -> typing.Optional[typing.List["NginxProxySpecTelemetryDisabledFeatures"]]:
        '''
        :schema: NginxProxySpecTelemetry#disabledFeatures
        '''
        result = self._values.get("disabled_features")
        return typing.cast(typing.Optional[typing.List["NginxProxySpecTelemetryDisabledFeatures"]], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "NginxProxySpecTelemetry(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(jsii_type="orgnginxgateway.NginxProxySpecTelemetryDisabledFeatures")
class NginxProxySpecTelemetryDisabledFeatures(enum.Enum):
    '''
    :schema: NginxProxySpecTelemetryDisabledFeatures
    '''

    DISABLE_TRACING = "DISABLE_TRACING"
    '''DisableTracing.'''


class RateLimitPolicy(
    _cdk8s_d3d9af27.ApiObject,
    metaclass=jsii.JSIIMeta,
    jsii_type="orgnginxgateway.RateLimitPolicy",
):
    '''
    :schema: RateLimitPolicy
    '''

    def __init__(
        self,
        scope: "_constructs_77d1e7e8.Construct",
        id: builtins.str,
        *,
        spec: typing.Union["RateLimitPolicySpec", typing.Dict[builtins.str, typing.Any]],
        metadata: typing.Optional[typing.Union["_cdk8s_d3d9af27.ApiObjectMetadata", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''Defines a "RateLimitPolicy" API object.

        :param scope: the scope in which to define this object.
        :param id: a scope-local name for the object.
        :param spec: 
        :param metadata: 
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__6847d3d3fd472334e8c7652bab9ddf637bc5bf9439b241e4e79660de62b08cf2)
            check_type(argname="argument scope", value=scope, expected_type=type_hints["scope"])
            check_type(argname="argument id", value=id, expected_type=type_hints["id"])
        props = RateLimitPolicyProps(spec=spec, metadata=metadata)

        jsii.create(self.__class__, self, [scope, id, props])

    @jsii.member(jsii_name="manifest")
    @builtins.classmethod
    def manifest(
        cls,
        *,
        spec: typing.Union["RateLimitPolicySpec", typing.Dict[builtins.str, typing.Any]],
        metadata: typing.Optional[typing.Union["_cdk8s_d3d9af27.ApiObjectMetadata", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> typing.Any:
        '''Renders a Kubernetes manifest for "RateLimitPolicy".

        This can be used to inline resource manifests inside other objects (e.g. as templates).

        :param spec: 
        :param metadata: 
        '''
        props = RateLimitPolicyProps(spec=spec, metadata=metadata)

        return typing.cast(typing.Any, jsii.sinvoke(cls, "manifest", [props]))

    @jsii.member(jsii_name="toJson")
    def to_json(self) -> typing.Any:
        '''Renders the object to Kubernetes JSON.'''
        return typing.cast(typing.Any, jsii.invoke(self, "toJson", []))

    @jsii.python.classproperty
    @jsii.member(jsii_name="GVK")
    def GVK(cls) -> "_cdk8s_d3d9af27.GroupVersionKind":
        '''Returns the apiVersion and kind for "RateLimitPolicy".'''
        return typing.cast("_cdk8s_d3d9af27.GroupVersionKind", jsii.sget(cls, "GVK"))


@jsii.data_type(
    jsii_type="orgnginxgateway.RateLimitPolicyProps",
    jsii_struct_bases=[],
    name_mapping={"spec": "spec", "metadata": "metadata"},
)
class RateLimitPolicyProps:
    def __init__(
        self,
        *,
        spec: typing.Union["RateLimitPolicySpec", typing.Dict[builtins.str, typing.Any]],
        metadata: typing.Optional[typing.Union["_cdk8s_d3d9af27.ApiObjectMetadata", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''
        :param spec: 
        :param metadata: 

        :schema: RateLimitPolicy
        '''
        if isinstance(spec, dict):
            spec = RateLimitPolicySpec(**spec)
        if isinstance(metadata, dict):
            metadata = _cdk8s_d3d9af27.ApiObjectMetadata(**metadata)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__40533f989365b88cbba5df36bc414ba0f9ad0a45ca15c4bda443370db254efe7)
            check_type(argname="argument spec", value=spec, expected_type=type_hints["spec"])
            check_type(argname="argument metadata", value=metadata, expected_type=type_hints["metadata"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "spec": spec,
        }
        if metadata is not None:
            self._values["metadata"] = metadata

    @builtins.property
    def spec(self) -> "RateLimitPolicySpec":
        '''
        :schema: RateLimitPolicy#spec
        '''
        result = self._values.get("spec")
        assert result is not None, "Required property 'spec' is missing"
        return typing.cast("RateLimitPolicySpec", result)

    @builtins.property
    def metadata(self) -> typing.Optional["_cdk8s_d3d9af27.ApiObjectMetadata"]:
        '''
        :schema: RateLimitPolicy#metadata
        '''
        result = self._values.get("metadata")
        return typing.cast(typing.Optional["_cdk8s_d3d9af27.ApiObjectMetadata"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "RateLimitPolicyProps(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.RateLimitPolicySpec",
    jsii_struct_bases=[],
    name_mapping={"target_refs": "targetRefs", "rate_limit": "rateLimit"},
)
class RateLimitPolicySpec:
    def __init__(
        self,
        *,
        target_refs: typing.Sequence[typing.Union["RateLimitPolicySpecTargetRefs", typing.Dict[builtins.str, typing.Any]]],
        rate_limit: typing.Optional[typing.Union["RateLimitPolicySpecRateLimit", typing.Dict[builtins.str, typing.Any]]] = None,
    ) -> None:
        '''
        :param target_refs: 
        :param rate_limit: 

        :schema: RateLimitPolicySpec
        '''
        if isinstance(rate_limit, dict):
            rate_limit = RateLimitPolicySpecRateLimit(**rate_limit)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__134a32cb52820055e6d91b549abc4760508400449ee6a7e9f4ea1b8c70250506)
            check_type(argname="argument target_refs", value=target_refs, expected_type=type_hints["target_refs"])
            check_type(argname="argument rate_limit", value=rate_limit, expected_type=type_hints["rate_limit"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "target_refs": target_refs,
        }
        if rate_limit is not None:
            self._values["rate_limit"] = rate_limit

    @builtins.property
    def target_refs(self) -> typing.List["RateLimitPolicySpecTargetRefs"]:
        '''
        :schema: RateLimitPolicySpec#targetRefs
        '''
        result = self._values.get("target_refs")
        assert result is not None, "Required property 'target_refs' is missing"
        return typing.cast(typing.List["RateLimitPolicySpecTargetRefs"], result)

    @builtins.property
    def rate_limit(self) -> typing.Optional["RateLimitPolicySpecRateLimit"]:
        '''
        :schema: RateLimitPolicySpec#rateLimit
        '''
        result = self._values.get("rate_limit")
        return typing.cast(typing.Optional["RateLimitPolicySpecRateLimit"], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "RateLimitPolicySpec(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.RateLimitPolicySpecRateLimit",
    jsii_struct_bases=[],
    name_mapping={
        "dry_run": "dryRun",
        "local": "local",
        "log_level": "logLevel",
        "reject_code": "rejectCode",
    },
)
class RateLimitPolicySpecRateLimit:
    def __init__(
        self,
        *,
        dry_run: typing.Optional[builtins.bool] = None,
        local: typing.Optional[typing.Union["RateLimitPolicySpecRateLimitLocal", typing.Dict[builtins.str, typing.Any]]] = None,
        log_level: typing.Optional["RateLimitPolicySpecRateLimitLogLevel"] = None,
        reject_code: typing.Optional[jsii.Number] = None,
    ) -> None:
        '''
        :param dry_run: 
        :param local: 
        :param log_level: 
        :param reject_code: 

        :schema: RateLimitPolicySpecRateLimit
        '''
        if isinstance(local, dict):
            local = RateLimitPolicySpecRateLimitLocal(**local)
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__3aff347118edcd952b145ab6635d553c4f61b68c7a41e99ce5c2addb7ee596d4)
            check_type(argname="argument dry_run", value=dry_run, expected_type=type_hints["dry_run"])
            check_type(argname="argument local", value=local, expected_type=type_hints["local"])
            check_type(argname="argument log_level", value=log_level, expected_type=type_hints["log_level"])
            check_type(argname="argument reject_code", value=reject_code, expected_type=type_hints["reject_code"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if dry_run is not None:
            self._values["dry_run"] = dry_run
        if local is not None:
            self._values["local"] = local
        if log_level is not None:
            self._values["log_level"] = log_level
        if reject_code is not None:
            self._values["reject_code"] = reject_code

    @builtins.property
    def dry_run(self) -> typing.Optional[builtins.bool]:
        '''
        :schema: RateLimitPolicySpecRateLimit#dryRun
        '''
        result = self._values.get("dry_run")
        return typing.cast(typing.Optional[builtins.bool], result)

    @builtins.property
    def local(self) -> typing.Optional["RateLimitPolicySpecRateLimitLocal"]:
        '''
        :schema: RateLimitPolicySpecRateLimit#local
        '''
        result = self._values.get("local")
        return typing.cast(typing.Optional["RateLimitPolicySpecRateLimitLocal"], result)

    @builtins.property
    def log_level(self) -> typing.Optional["RateLimitPolicySpecRateLimitLogLevel"]:
        '''
        :schema: RateLimitPolicySpecRateLimit#logLevel
        '''
        result = self._values.get("log_level")
        return typing.cast(typing.Optional["RateLimitPolicySpecRateLimitLogLevel"], result)

    @builtins.property
    def reject_code(self) -> typing.Optional[jsii.Number]:
        '''
        :schema: RateLimitPolicySpecRateLimit#rejectCode
        '''
        result = self._values.get("reject_code")
        return typing.cast(typing.Optional[jsii.Number], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "RateLimitPolicySpecRateLimit(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.RateLimitPolicySpecRateLimitLocal",
    jsii_struct_bases=[],
    name_mapping={"rules": "rules"},
)
class RateLimitPolicySpecRateLimitLocal:
    def __init__(
        self,
        *,
        rules: typing.Optional[typing.Sequence[typing.Union["RateLimitPolicySpecRateLimitLocalRules", typing.Dict[builtins.str, typing.Any]]]] = None,
    ) -> None:
        '''
        :param rules: 

        :schema: RateLimitPolicySpecRateLimitLocal
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__1d30c924301e2c1f926a5a287309673eb7314b5f591cf61178e142714e7e48b2)
            check_type(argname="argument rules", value=rules, expected_type=type_hints["rules"])
        self._values: typing.Dict[builtins.str, typing.Any] = {}
        if rules is not None:
            self._values["rules"] = rules

    @builtins.property
    def rules(
        self,
    ) -> typing.Optional[typing.List["RateLimitPolicySpecRateLimitLocalRules"]]:
        '''
        :schema: RateLimitPolicySpecRateLimitLocal#rules
        '''
        result = self._values.get("rules")
        return typing.cast(typing.Optional[typing.List["RateLimitPolicySpecRateLimitLocalRules"]], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "RateLimitPolicySpecRateLimitLocal(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.data_type(
    jsii_type="orgnginxgateway.RateLimitPolicySpecRateLimitLocalRules",
    jsii_struct_bases=[],
    name_mapping={
        "key": "key",
        "rate": "rate",
        "burst": "burst",
        "delay": "delay",
        "no_delay": "noDelay",
        "zone_size": "zoneSize",
    },
)
class RateLimitPolicySpecRateLimitLocalRules:
    def __init__(
        self,
        *,
        key: builtins.str,
        rate: builtins.str,
        burst: typing.Optional[jsii.Number] = None,
        delay: typing.Optional[jsii.Number] = None,
        no_delay: typing.Optional[builtins.bool] = None,
        zone_size: typing.Optional[builtins.str] = None,
    ) -> None:
        '''
        :param key: 
        :param rate: 
        :param burst: 
        :param delay: 
        :param no_delay: 
        :param zone_size: 

        :schema: RateLimitPolicySpecRateLimitLocalRules
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__cabbc0d46d9b67b4f91a5197c88a498692863e02cd355c5724310f8c4c3252f7)
            check_type(argname="argument key", value=key, expected_type=type_hints["key"])
            check_type(argname="argument rate", value=rate, expected_type=type_hints["rate"])
            check_type(argname="argument burst", value=burst, expected_type=type_hints["burst"])
            check_type(argname="argument delay", value=delay, expected_type=type_hints["delay"])
            check_type(argname="argument no_delay", value=no_delay, expected_type=type_hints["no_delay"])
            check_type(argname="argument zone_size", value=zone_size, expected_type=type_hints["zone_size"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "key": key,
            "rate": rate,
        }
        if burst is not None:
            self._values["burst"] = burst
        if delay is not None:
            self._values["delay"] = delay
        if no_delay is not None:
            self._values["no_delay"] = no_delay
        if zone_size is not None:
            self._values["zone_size"] = zone_size

    @builtins.property
    def key(self) -> builtins.str:
        '''
        :schema: RateLimitPolicySpecRateLimitLocalRules#key
        '''
        result = self._values.get("key")
        assert result is not None, "Required property 'key' is missing"
        return typing.cast(builtins.str, result)

    @builtins.property
    def rate(self) -> builtins.str:
        '''
        :schema: RateLimitPolicySpecRateLimitLocalRules#rate
        '''
        result = self._values.get("rate")
        assert result is not None, "Required property 'rate' is missing"
        return typing.cast(builtins.str, result)

    @builtins.property
    def burst(self) -> typing.Optional[jsii.Number]:
        '''
        :schema: RateLimitPolicySpecRateLimitLocalRules#burst
        '''
        result = self._values.get("burst")
        return typing.cast(typing.Optional[jsii.Number], result)

    @builtins.property
    def delay(self) -> typing.Optional[jsii.Number]:
        '''
        :schema: RateLimitPolicySpecRateLimitLocalRules#delay
        '''
        result = self._values.get("delay")
        return typing.cast(typing.Optional[jsii.Number], result)

    @builtins.property
    def no_delay(self) -> typing.Optional[builtins.bool]:
        '''
        :schema: RateLimitPolicySpecRateLimitLocalRules#noDelay
        '''
        result = self._values.get("no_delay")
        return typing.cast(typing.Optional[builtins.bool], result)

    @builtins.property
    def zone_size(self) -> typing.Optional[builtins.str]:
        '''
        :schema: RateLimitPolicySpecRateLimitLocalRules#zoneSize
        '''
        result = self._values.get("zone_size")
        return typing.cast(typing.Optional[builtins.str], result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "RateLimitPolicySpecRateLimitLocalRules(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


@jsii.enum(jsii_type="orgnginxgateway.RateLimitPolicySpecRateLimitLogLevel")
class RateLimitPolicySpecRateLimitLogLevel(enum.Enum):
    '''
    :schema: RateLimitPolicySpecRateLimitLogLevel
    '''

    INFO = "INFO"
    '''info.'''
    NOTICE = "NOTICE"
    '''notice.'''
    WARN = "WARN"
    '''warn.'''
    ERROR = "ERROR"
    '''error.'''


@jsii.data_type(
    jsii_type="orgnginxgateway.RateLimitPolicySpecTargetRefs",
    jsii_struct_bases=[],
    name_mapping={"group": "group", "kind": "kind", "name": "name"},
)
class RateLimitPolicySpecTargetRefs:
    def __init__(
        self,
        *,
        group: builtins.str,
        kind: builtins.str,
        name: builtins.str,
    ) -> None:
        '''
        :param group: 
        :param kind: 
        :param name: 

        :schema: RateLimitPolicySpecTargetRefs
        '''
        if __debug__:
            type_hints = cached_type_hints(_typecheckingstub__b0eff82804a5bb9ecf288b2763b3cd906a13ae31ddc4939e80f75a633b005083)
            check_type(argname="argument group", value=group, expected_type=type_hints["group"])
            check_type(argname="argument kind", value=kind, expected_type=type_hints["kind"])
            check_type(argname="argument name", value=name, expected_type=type_hints["name"])
        self._values: typing.Dict[builtins.str, typing.Any] = {
            "group": group,
            "kind": kind,
            "name": name,
        }

    @builtins.property
    def group(self) -> builtins.str:
        '''
        :schema: RateLimitPolicySpecTargetRefs#group
        '''
        result = self._values.get("group")
        assert result is not None, "Required property 'group' is missing"
        return typing.cast(builtins.str, result)

    @builtins.property
    def kind(self) -> builtins.str:
        '''
        :schema: RateLimitPolicySpecTargetRefs#kind
        '''
        result = self._values.get("kind")
        assert result is not None, "Required property 'kind' is missing"
        return typing.cast(builtins.str, result)

    @builtins.property
    def name(self) -> builtins.str:
        '''
        :schema: RateLimitPolicySpecTargetRefs#name
        '''
        result = self._values.get("name")
        assert result is not None, "Required property 'name' is missing"
        return typing.cast(builtins.str, result)

    def __eq__(self, rhs: typing.Any) -> builtins.bool:
        return isinstance(rhs, self.__class__) and rhs._values == self._values

    def __ne__(self, rhs: typing.Any) -> builtins.bool:
        return not (rhs == self)

    def __repr__(self) -> str:
        return "RateLimitPolicySpecTargetRefs(%s)" % ", ".join(
            k + "=" + repr(v) for k, v in self._values.items()
        )


__all__ = [
    "ClientSettingsPolicy",
    "ClientSettingsPolicyProps",
    "ClientSettingsPolicySpec",
    "ClientSettingsPolicySpecBody",
    "ClientSettingsPolicySpecKeepAlive",
    "ClientSettingsPolicySpecKeepAliveTimeout",
    "ClientSettingsPolicySpecTargetRef",
    "NginxProxy",
    "NginxProxyProps",
    "NginxProxySpec",
    "NginxProxySpecIpFamily",
    "NginxProxySpecKubernetes",
    "NginxProxySpecKubernetesDeployment",
    "NginxProxySpecKubernetesDeploymentContainer",
    "NginxProxySpecKubernetesDeploymentContainerResources",
    "NginxProxySpecKubernetesDeploymentContainerResourcesClaims",
    "NginxProxySpecKubernetesDeploymentContainerResourcesLimits",
    "NginxProxySpecKubernetesDeploymentContainerResourcesRequests",
    "NginxProxySpecKubernetesDeploymentPatches",
    "NginxProxySpecKubernetesDeploymentPatchesType",
    "NginxProxySpecKubernetesDeploymentPod",
    "NginxProxySpecKubernetesService",
    "NginxProxySpecKubernetesServiceExternalTrafficPolicy",
    "NginxProxySpecKubernetesServiceNodePorts",
    "NginxProxySpecKubernetesServicePatches",
    "NginxProxySpecKubernetesServicePatchesType",
    "NginxProxySpecKubernetesServiceType",
    "NginxProxySpecLogging",
    "NginxProxySpecLoggingAccessLog",
    "NginxProxySpecLoggingAccessLogEscape",
    "NginxProxySpecLoggingAgentLevel",
    "NginxProxySpecLoggingErrorLevel",
    "NginxProxySpecMetrics",
    "NginxProxySpecRewriteClientIp",
    "NginxProxySpecRewriteClientIpMode",
    "NginxProxySpecRewriteClientIpTrustedAddresses",
    "NginxProxySpecRewriteClientIpTrustedAddressesType",
    "NginxProxySpecTelemetry",
    "NginxProxySpecTelemetryDisabledFeatures",
    "RateLimitPolicy",
    "RateLimitPolicyProps",
    "RateLimitPolicySpec",
    "RateLimitPolicySpecRateLimit",
    "RateLimitPolicySpecRateLimitLocal",
    "RateLimitPolicySpecRateLimitLocalRules",
    "RateLimitPolicySpecRateLimitLogLevel",
    "RateLimitPolicySpecTargetRefs",
]

publication.publish()

def _typecheckingstub__c4b4cdcfd07d4f0dade0d2db69f6b97f2812517c69d9e15e436003ab47f8fc05(
    scope: _constructs_77d1e7e8.Construct,
    id: builtins.str,
    *,
    spec: typing.Union[ClientSettingsPolicySpec, typing.Dict[builtins.str, typing.Any]],
    metadata: typing.Optional[typing.Union[_cdk8s_d3d9af27.ApiObjectMetadata, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__e3cb47b367f40df98c57ecdc00959a940313c96652679ddec7b7ded7fe7f03d3(
    *,
    spec: typing.Union[ClientSettingsPolicySpec, typing.Dict[builtins.str, typing.Any]],
    metadata: typing.Optional[typing.Union[_cdk8s_d3d9af27.ApiObjectMetadata, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__b74726bdd4588d80b058e7e49d2116b5a4c06acf9f1b38c9b7ae0c006dc8831c(
    *,
    target_ref: typing.Union[ClientSettingsPolicySpecTargetRef, typing.Dict[builtins.str, typing.Any]],
    body: typing.Optional[typing.Union[ClientSettingsPolicySpecBody, typing.Dict[builtins.str, typing.Any]]] = None,
    keep_alive: typing.Optional[typing.Union[ClientSettingsPolicySpecKeepAlive, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__9347afff1f9169485efb5bf77929a70cafbc0bbd7fec9199a396d5dddcb87c62(
    *,
    max_size: typing.Optional[builtins.str] = None,
    timeout: typing.Optional[builtins.str] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__a252c14cf315b263afb30dbf7e784a3f5c804b81f2171f62925daa07b54b443c(
    *,
    min_timeout: typing.Optional[builtins.str] = None,
    requests: typing.Optional[jsii.Number] = None,
    time: typing.Optional[builtins.str] = None,
    timeout: typing.Optional[typing.Union[ClientSettingsPolicySpecKeepAliveTimeout, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__39a682514c4a98175d00f56947a91fb8d76789073843397492bf726d3531e84a(
    *,
    header: typing.Optional[builtins.str] = None,
    server: typing.Optional[builtins.str] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__e2d86f5e0baf3f719b9fad37abb7b182bb2bbc33b27346662e604c58546f97a7(
    *,
    group: builtins.str,
    kind: builtins.str,
    name: builtins.str,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__fce00bea25b75530a4c484cb8a5f78f62747c62665d2c37913417430b36a8656(
    scope: _constructs_77d1e7e8.Construct,
    id: builtins.str,
    *,
    spec: typing.Union[NginxProxySpec, typing.Dict[builtins.str, typing.Any]],
    metadata: typing.Optional[typing.Union[_cdk8s_d3d9af27.ApiObjectMetadata, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__5a1ade23338ac6adae824aedce57f8b599d099f706616104e6812ea98b83d64f(
    *,
    spec: typing.Union[NginxProxySpec, typing.Dict[builtins.str, typing.Any]],
    metadata: typing.Optional[typing.Union[_cdk8s_d3d9af27.ApiObjectMetadata, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__720245c621c7ebc971336b2f80f3d0dd8923def71ac7eac21c2ec9a8289e6732(
    *,
    ip_family: typing.Optional[NginxProxySpecIpFamily] = None,
    kubernetes: typing.Optional[typing.Union[NginxProxySpecKubernetes, typing.Dict[builtins.str, typing.Any]]] = None,
    logging: typing.Optional[typing.Union[NginxProxySpecLogging, typing.Dict[builtins.str, typing.Any]]] = None,
    metrics: typing.Optional[typing.Union[NginxProxySpecMetrics, typing.Dict[builtins.str, typing.Any]]] = None,
    rewrite_client_ip: typing.Optional[typing.Union[NginxProxySpecRewriteClientIp, typing.Dict[builtins.str, typing.Any]]] = None,
    server_tokens: typing.Optional[builtins.str] = None,
    telemetry: typing.Optional[typing.Union[NginxProxySpecTelemetry, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__b1bacaa56bb6a2895823efac7ea8a63bca2c9ec969703a1c4ac460e7d6e75492(
    *,
    deployment: typing.Optional[typing.Union[NginxProxySpecKubernetesDeployment, typing.Dict[builtins.str, typing.Any]]] = None,
    service: typing.Optional[typing.Union[NginxProxySpecKubernetesService, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__d28313f73dbd3bc4b9735a8f7d7e69575da75624f69a0b8bd00a441d5f62e184(
    *,
    container: typing.Optional[typing.Union[NginxProxySpecKubernetesDeploymentContainer, typing.Dict[builtins.str, typing.Any]]] = None,
    patches: typing.Optional[typing.Sequence[typing.Union[NginxProxySpecKubernetesDeploymentPatches, typing.Dict[builtins.str, typing.Any]]]] = None,
    pod: typing.Optional[typing.Union[NginxProxySpecKubernetesDeploymentPod, typing.Dict[builtins.str, typing.Any]]] = None,
    replicas: typing.Optional[jsii.Number] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__47eb128aa89c664aeeddfbca969209dc5f820c74e8e882d84f8483f232cccaf5(
    *,
    resources: typing.Optional[typing.Union[NginxProxySpecKubernetesDeploymentContainerResources, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__4de5a885d7e343fac8744640ed5ff0fdbe621ec473fc2d320edcd553dbcd5197(
    *,
    claims: typing.Optional[typing.Sequence[typing.Union[NginxProxySpecKubernetesDeploymentContainerResourcesClaims, typing.Dict[builtins.str, typing.Any]]]] = None,
    limits: typing.Optional[typing.Mapping[builtins.str, NginxProxySpecKubernetesDeploymentContainerResourcesLimits]] = None,
    requests: typing.Optional[typing.Mapping[builtins.str, NginxProxySpecKubernetesDeploymentContainerResourcesRequests]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__59e515198b12cbb1c8db4182d186a49ee40aa54431da4d13ac12ceaa905c80fe(
    *,
    name: builtins.str,
    request: typing.Optional[builtins.str] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__cea1750b7cb509bf6afbdfa60ae72aeb5d45ffb5d6955b7a49800cfee6fa4839(
    value: jsii.Number,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__a65cc3de9342b5beaa0c9742a0d3e212a6ca5a672c4877ebf8164b18d7867ac4(
    value: builtins.str,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__f461ed1d1c9535aea5d181be7ea6c52529683689bc3adc4b6f78cbc2444c685f(
    value: jsii.Number,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__53dfe8cd66c02324b9931aa1394b8b0f609dfb1957fc46a66fca894d89811cb3(
    value: builtins.str,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__cc57bc44f06300dafabd89a32c7e50891db790a5d46157c0d797283c666ea9a2(
    *,
    type: typing.Optional[NginxProxySpecKubernetesDeploymentPatchesType] = None,
    value: typing.Any = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__833c6e2fc3fb49dbebb1b914fee2c762978a248c9ebf77bf9719cc3e1abf310a(
    *,
    termination_grace_period_seconds: typing.Optional[jsii.Number] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__4bd6178a621351265f79fae9b77c1f387f5f7fd02ca20b56e38224525c219b87(
    *,
    external_traffic_policy: typing.Optional[NginxProxySpecKubernetesServiceExternalTrafficPolicy] = None,
    load_balancer_class: typing.Optional[builtins.str] = None,
    load_balancer_ip: typing.Optional[builtins.str] = None,
    load_balancer_source_ranges: typing.Optional[typing.Sequence[builtins.str]] = None,
    node_ports: typing.Optional[typing.Sequence[typing.Union[NginxProxySpecKubernetesServiceNodePorts, typing.Dict[builtins.str, typing.Any]]]] = None,
    patches: typing.Optional[typing.Sequence[typing.Union[NginxProxySpecKubernetesServicePatches, typing.Dict[builtins.str, typing.Any]]]] = None,
    type: typing.Optional[NginxProxySpecKubernetesServiceType] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__2ce21c43c83761b7f1db2c3e783204f7f7117d1c0eb5aeca5ba94ad992413505(
    *,
    listener_port: jsii.Number,
    port: jsii.Number,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__daec014ff3b2412bba4aa666ddbb6b552fa97e48bf0b9a22a69d2e854f14cb89(
    *,
    type: typing.Optional[NginxProxySpecKubernetesServicePatchesType] = None,
    value: typing.Any = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__e3e3ea54eb2b41ccc02e501e7fdb175c36bc2482bb816a572d9c79060e03d9cd(
    *,
    access_log: typing.Optional[typing.Union[NginxProxySpecLoggingAccessLog, typing.Dict[builtins.str, typing.Any]]] = None,
    agent_level: typing.Optional[NginxProxySpecLoggingAgentLevel] = None,
    error_level: typing.Optional[NginxProxySpecLoggingErrorLevel] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__3f9e00a7e40f61db178d3230a0d553b0fa093a9f78ec9a7744e519ddc4896198(
    *,
    disable: typing.Optional[builtins.bool] = None,
    escape: typing.Optional[NginxProxySpecLoggingAccessLogEscape] = None,
    format: typing.Optional[builtins.str] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__9c0f2ccc0dbb847ab7822765c122e8a934ab20bb2543413770a26535715e81d2(
    *,
    disable: typing.Optional[builtins.bool] = None,
    port: typing.Optional[jsii.Number] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__193e1688f6f647a2e6cd6e5586f954b31ee385897002b8eb4e269b755d15c749(
    *,
    mode: typing.Optional[NginxProxySpecRewriteClientIpMode] = None,
    set_ip_recursively: typing.Optional[builtins.bool] = None,
    trusted_addresses: typing.Optional[typing.Sequence[typing.Union[NginxProxySpecRewriteClientIpTrustedAddresses, typing.Dict[builtins.str, typing.Any]]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__8dbb69169ab16123b3b426d9d3f6a3887d888567e7220c6fd57a735e873d072d(
    *,
    type: NginxProxySpecRewriteClientIpTrustedAddressesType,
    value: builtins.str,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__afd7188fef25e2255b5713a8b460ffdee8551df5c70028d34d6ee007a18c6da3(
    *,
    disabled_features: typing.Optional[typing.Sequence[NginxProxySpecTelemetryDisabledFeatures]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__6847d3d3fd472334e8c7652bab9ddf637bc5bf9439b241e4e79660de62b08cf2(
    scope: _constructs_77d1e7e8.Construct,
    id: builtins.str,
    *,
    spec: typing.Union[RateLimitPolicySpec, typing.Dict[builtins.str, typing.Any]],
    metadata: typing.Optional[typing.Union[_cdk8s_d3d9af27.ApiObjectMetadata, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__40533f989365b88cbba5df36bc414ba0f9ad0a45ca15c4bda443370db254efe7(
    *,
    spec: typing.Union[RateLimitPolicySpec, typing.Dict[builtins.str, typing.Any]],
    metadata: typing.Optional[typing.Union[_cdk8s_d3d9af27.ApiObjectMetadata, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__134a32cb52820055e6d91b549abc4760508400449ee6a7e9f4ea1b8c70250506(
    *,
    target_refs: typing.Sequence[typing.Union[RateLimitPolicySpecTargetRefs, typing.Dict[builtins.str, typing.Any]]],
    rate_limit: typing.Optional[typing.Union[RateLimitPolicySpecRateLimit, typing.Dict[builtins.str, typing.Any]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__3aff347118edcd952b145ab6635d553c4f61b68c7a41e99ce5c2addb7ee596d4(
    *,
    dry_run: typing.Optional[builtins.bool] = None,
    local: typing.Optional[typing.Union[RateLimitPolicySpecRateLimitLocal, typing.Dict[builtins.str, typing.Any]]] = None,
    log_level: typing.Optional[RateLimitPolicySpecRateLimitLogLevel] = None,
    reject_code: typing.Optional[jsii.Number] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__1d30c924301e2c1f926a5a287309673eb7314b5f591cf61178e142714e7e48b2(
    *,
    rules: typing.Optional[typing.Sequence[typing.Union[RateLimitPolicySpecRateLimitLocalRules, typing.Dict[builtins.str, typing.Any]]]] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__cabbc0d46d9b67b4f91a5197c88a498692863e02cd355c5724310f8c4c3252f7(
    *,
    key: builtins.str,
    rate: builtins.str,
    burst: typing.Optional[jsii.Number] = None,
    delay: typing.Optional[jsii.Number] = None,
    no_delay: typing.Optional[builtins.bool] = None,
    zone_size: typing.Optional[builtins.str] = None,
) -> None:
    """Type checking stubs"""
    pass

def _typecheckingstub__b0eff82804a5bb9ecf288b2763b3cd906a13ae31ddc4939e80f75a633b005083(
    *,
    group: builtins.str,
    kind: builtins.str,
    name: builtins.str,
) -> None:
    """Type checking stubs"""
    pass
