"""TLS: what the database server allows, and what the service insists on."""

from __future__ import annotations

from pytest_prodready.checks import ssl_certificate, ssl_client, ssl_server
from pytest_prodready.probes.ssl_certificate import ServerCertificate
from pytest_prodready.probes.ssl_client import Links
from pytest_prodready.probes.ssl_engine import EngineTrust
from pytest_prodready.probes.ssl_play import Impersonation
from pytest_prodready.probes.ssl_server import Handshakes, Hba, Plaintext
from pytest_prodready.settings import Settings
from pytest_prodready.suite import Conclude, proves


@proves("ssl.plaintext-refused")
def test_plaintext_is_refused(ssl_plaintext: Plaintext, conclude: Conclude) -> None:
    """The server turns away whoever comes without TLS, before it asks for a password."""
    conclude(ssl_server.plaintext_is_refused(ssl_plaintext))


@proves("ssl.tls12-or-newer")
def test_tls12_or_newer(ssl_handshakes: Handshakes, conclude: Conclude) -> None:
    """The server shakes hands in TLS 1.2 or newer alone; older ones can be broken on the path."""
    conclude(ssl_server.tls12_or_newer(ssl_handshakes))


@proves("ssl.ciphers-strong")
def test_ciphers_are_strong(ssl_handshakes: Handshakes, conclude: Conclude) -> None:
    """The server accepts no suite that a stolen key or a patient listener could undo."""
    conclude(ssl_server.ciphers_are_strong(ssl_handshakes))


@proves("ssl.hba-authenticates")
def test_hba_authenticates(ssl_hba: Hba, conclude: Conclude) -> None:
    """Each line of pg_hba.conf asks for proof that can't be read or replayed."""
    conclude(ssl_server.hba_authenticates(ssl_hba))


@proves("ssl.hba-narrow")
def test_hba_is_narrow(ssl_hba: Hba, conclude: Conclude) -> None:
    """No line of pg_hba.conf is for everybody, everything and everywhere at once."""
    conclude(ssl_server.hba_is_narrow(ssl_hba))


@proves("ssl.certificate-lasts")
def test_certificate_lasts(
    ssl_server_certificate: ServerCertificate, limits: Settings, conclude: Conclude
) -> None:
    """The certificate is valid for weeks to come; its end would lock everybody out at once."""
    conclude(ssl_certificate.certificate_lasts(ssl_server_certificate, limits.ssl))


@proves("ssl.certificate-names-server")
def test_certificate_names_server(ssl_server_certificate: ServerCertificate, conclude: Conclude) -> None:
    """The certificate carries the name that clients connect to, so that they can verify it."""
    conclude(ssl_certificate.certificate_names_server(ssl_server_certificate))


@proves("ssl.certificate-chain-verifies")
def test_certificate_chain_verifies(ssl_server_certificate: ServerCertificate, conclude: Conclude) -> None:
    """The chain leads to the authority without a gap, and nothing in it can be forged."""
    conclude(ssl_certificate.certificate_chain_verifies(ssl_server_certificate))


@proves("ssl.service-encrypted")
def test_service_is_encrypted(ssl_links: Links, conclude: Conclude) -> None:
    """Every connection that the service holds is encrypted, not only most of them."""
    conclude(ssl_server.service_is_encrypted(ssl_links))


@proves("ssl.client-checks-authority")
def test_authority_is_checked(ssl_database_impersonated: Impersonation, conclude: Conclude) -> None:
    """The service refuses a certificate that anybody could have made."""
    conclude(ssl_client.authority_is_checked(ssl_database_impersonated))


@proves("ssl.client-checks-name")
def test_name_is_checked(ssl_database_impersonated: Impersonation, conclude: Conclude) -> None:
    """The service refuses a good certificate of another host."""
    conclude(ssl_client.name_is_checked(ssl_database_impersonated))


@proves("ssl.client-checks-validity")
def test_validity_is_checked(ssl_database_impersonated: Impersonation, conclude: Conclude) -> None:
    """The service refuses a certificate whose time is over, or hasn't come."""
    conclude(ssl_client.validity_is_checked(ssl_database_impersonated))


@proves("ssl.client-requires-tls")
def test_tls_is_required(ssl_database_impersonated: Impersonation, conclude: Conclude) -> None:
    """The service refuses a server that declines TLS; an attacker only has to say so."""
    conclude(ssl_client.tls_is_required(ssl_database_impersonated))


@proves("ssl.client-requires-tls12")
def test_tls12_is_required(ssl_database_impersonated: Impersonation, conclude: Conclude) -> None:
    """The service refuses TLS 1.1, and doesn't fall back to no TLS instead."""
    conclude(ssl_client.tls12_is_required(ssl_database_impersonated))


@proves("ssl.engine-verifies-server")
def test_engine_verifies_server(ssl_engine_impersonated: EngineTrust, conclude: Conclude) -> None:
    """The engine that jobs and scripts share refuses every impostor as well."""
    conclude(ssl_client.engine_verifies_server(ssl_engine_impersonated))


@proves("ssl.redis-encrypted")
def test_redis_is_verified(ssl_redis_impersonated: Impersonation, conclude: Conclude) -> None:
    """The service speaks to Redis by TLS alone, and only to one that it can verify."""
    conclude(ssl_client.redis_is_verified(ssl_redis_impersonated))
