"""The catalogue as the operator wrote it: what everyone sees, and besides it the promotions and the prices."""

from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway.http.operation import declare
from gateway.http.public.catalog import catalog_answer
from gateway.services import Services
from gateway.wire.http.admin import AdminCatalog, AdminPackage, AdminPromotion

StructT = TypeVar("StructT", bound=Struct)


async def read_admin_catalog(services: Services) -> AdminCatalog:
    """Tell the catalogue with all prices and promotions. It is changed by its files, and read when a gateway starts."""
    catalog = services.catalog
    return AdminCatalog(
        catalog_answer(catalog),
        [_as(AdminPackage, package) for package in catalog.packages],
        [_as(AdminPromotion, promotion) for promotion in catalog.promotions],
        catalog.web.discount_bp,
    )


def _as(kind: type[StructT], value: object) -> StructT:
    return msgspec.convert(msgspec.to_builtins(value), kind)


OPERATIONS = (declare("GET", "/v1/admin/catalog", read_admin_catalog, tag="operators", roles=("operator",)),)
