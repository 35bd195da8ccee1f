"""The way from a certificate to its authority, on certificates made for the purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_prodready.errors import ConfigError
from pytest_prodready.probes import ssl_chain
from tests.specimens import ssl_certificates as made

ROOT = made.authority("Root CA")
MIDDLE = made.authority("Issuing CA", ROOT)
LEAF = made.leaf(MIDDLE)
OTHER_ROOT = made.authority("Other root CA")
NAMESAKE = made.authority("Root CA")
NO_AUTHORITY = made.authority("Not a CA", ROOT, ca=False)


def problem(served: tuple[object, ...], *authorities: made.Issuer) -> str:
    """What is wrong with the way from the first certificate to one of the authorities."""
    return ssl_chain.chain_to(served, [each.certificate for each in authorities])[1]  # type: ignore[arg-type]


def test_the_whole_way() -> None:
    """Leaf, intermediate, root, in this order."""
    way, wrong = ssl_chain.chain_to((LEAF, MIDDLE.certificate), (ROOT.certificate,))
    assert way == (LEAF, MIDDLE.certificate, ROOT.certificate)
    assert wrong == ""


def test_order_and_company_do_not_matter() -> None:
    """Intermediates may come in any order, with the root and with strangers among them."""
    served = (LEAF, OTHER_ROOT.certificate, ROOT.certificate, MIDDLE.certificate)
    assert problem(served, OTHER_ROOT, ROOT) == ""


def test_intermediate_in_the_authority_file() -> None:
    """A client that has the intermediate in its own file needs none from the server."""
    assert problem((LEAF,), MIDDLE, ROOT) == ""
    assert problem((LEAF,), MIDDLE) == ""


def test_intermediate_missing() -> None:
    """Nothing leads on from the leaf."""
    assert "“Issuing CA”, is missing" in problem((LEAF,), ROOT)


def test_another_authority() -> None:
    """The way ends at a root that isn't in the file."""
    served = (LEAF, MIDDLE.certificate, ROOT.certificate)
    assert "“Root CA” is self-signed and not in the authority's file" in problem(served, OTHER_ROOT)


def test_an_authority_of_the_same_name() -> None:
    """A name alone vouches for nothing."""
    assert "“Root CA” has another key" in problem((LEAF, MIDDLE.certificate), NAMESAKE)


def test_signed_by_no_authority() -> None:
    """A certificate that may not sign others doesn't make a way."""
    served = (made.leaf(NO_AUTHORITY), NO_AUTHORITY.certificate)
    assert "CA:FALSE" in problem(served, ROOT)


def test_self_signed_and_declared() -> None:
    """A self-signed certificate is its own authority where it is declared as such, as libpq has it."""
    alone = made.authority("db.jobboard.internal")
    assert problem((alone.certificate,), alone) == ""


def test_facts() -> None:
    """Names, days, key and signature are read from the certificate."""
    facts = ssl_chain.facts(
        made.leaf(MIDDLE, days=5, names=("a.example", "*.b.example")), ssl_chain.now_utc()
    )
    assert (facts.subject, facts.issuer) == ("“db.jobboard.internal”", "“Issuing CA”")
    assert facts.names == ("a.example", "*.b.example")
    assert 4.9 < facts.days_left < 5.1
    assert (facts.key_kind, facts.key_bits, facts.signature_hash) == ("EC", 256, "SHA256")
    assert not facts.self_signed
    assert ssl_chain.facts(ROOT.certificate, ssl_chain.now_utc()).self_signed


@pytest.mark.parametrize(
    "text", [None, "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_files_that_can_not_be_used(text: str | None, tmp_path: Path) -> None:
    """The error names the key of prodready.toml that gave the file."""
    file = tmp_path / "chain.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=r"\[postgres\] certificate"):
        ssl_chain.load(file, "[postgres] certificate")


def test_bundle_with_an_odd_root(tmp_path: Path) -> None:
    """One broken root among good ones doesn't spoil an authorities' file."""
    file = tmp_path / "roots.pem"
    file.write_text(f"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{ROOT.pem}")
    assert ssl_chain.load(file, "[postgres] ca", bundle=True) == (ROOT.certificate,)
