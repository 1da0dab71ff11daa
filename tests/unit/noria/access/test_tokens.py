"""Tokens as `cryptography` signs them, and everything that looks nearly like one."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from noria.access.tokens import Expected, PublicKey, key_id_of, public_keys, verified_grant
from noria.errors import TokenRefusedError
from noria.records.access import Grant

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
EXPECTED = Expected("https://login.example.org", "noria")
CLAIMS = {
    "iss": "https://login.example.org", "aud": "noria", "sub": "anna", "exp": AT.timestamp() + 300,
    "scope": "openid noria:user",
}  # fmt: skip
HEADER = {"alg": "RS256", "kid": "k1", "typ": "JWT"}


@cache
def _private(bits=2048, exponent=65537):
    return rsa.generate_private_key(exponent, bits)


def _public(private=None):
    numbers = (private or _private()).public_key().public_numbers()
    return PublicKey(numbers.n, numbers.e)


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _message(claims=CLAIMS, header=HEADER):
    return f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(claims).encode())}"


def _token(claims=CLAIMS, header=HEADER, private=None):
    message = _message(claims, header)
    signed = (private or _private()).sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{message}.{_b64(signed)}"


def _with_block(block, private=None):
    """Return a token whose signature has this block, whatever it is."""
    numbers = (private or _private()).private_numbers()
    n = numbers.public_numbers.n
    number = pow(int.from_bytes(block), numbers.d, n)
    return f"{_message()}.{_b64(number.to_bytes(256))}"


def _grant(token, key=None, expected=EXPECTED):
    return verified_grant(token, key or _public(), expected, AT)


def test_a_right_token_grants_what_its_claims_say():
    """Scopes of ours without their prefix; all projects unless it names some."""
    assert _grant(_token()) == Grant("jwt:anna", "anna", ("user",), ("*",))
    some = CLAIMS | {"scope": ["noria:admin", "noria:predict"], "noria:projects": ["tickets"]}
    assert _grant(_token(some))[2:4] == (("admin", "predict"), ("tickets",))
    groups = {**CLAIMS, "scope": "", "cognito:groups": ["noria:user", "others"]}
    expected = EXPECTED._replace(scope_claim="cognito:groups")
    assert _grant(_token(groups), expected=expected).scopes == ("user",)
    many = CLAIMS | {"aud": ["other", "noria"]}
    assert _grant(_token(many))
    client = {key: value for key, value in CLAIMS.items() if key != "aud"} | {"client_id": "noria"}
    assert _grant(_token(client))


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_our_verification_agrees_with_cryptography(bits):
    """Twenty messages of each size; one changed bit of the signature or the text is found."""
    private = _private(bits)
    key, n_tried = _public(private), 0
    for number in range(20):
        token = _token(CLAIMS | {"sub": f"s{number}"}, private=private)
        assert _grant(token, key).name == f"s{number}"
        head, body, signature = token.split(".")
        raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
        raw[number % len(raw)] ^= 1 << number % 8
        other = _message(CLAIMS | {"sub": "eve"}).split(".")[1]
        for forged in (f"{head}.{body}.{_b64(bytes(raw))}", f"{head}.{other}.{signature}"):
            with pytest.raises(TokenRefusedError, match="signature"):
                _grant(forged, key)
            n_tried += 1
    assert n_tried == 40


DIGEST = hashlib.sha256(_message().encode()).digest()
INFO = bytes.fromhex("3031300d060960864801650304020105000420")
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")
NO_NULL = bytes.fromhex("302f300b0609608648016503040201" + "0420")


def _block(info=INFO, digest=DIGEST, *, kind=b"\x00\x01", fill=b"\xff", end=b"\x00", behind=b""):
    tail = end + info + digest + behind
    return kind + fill * (256 - len(kind) - len(tail)) + tail


BLOCKS = {
    "something behind the hash": _block(behind=b"x"),
    "a padding of eight bytes and much behind": b"\x00\x01" + b"\xff" * 8 + b"\x00" + INFO + DIGEST
    + b"\x00" * (256 - 11 - len(INFO) - 32),
    "block type 2": _block(kind=b"\x00\x02"),
    "block type 0": _block(kind=b"\x00\x00", fill=b"\x00"),
    "a hole in the padding": _block().replace(b"\xff\xff", b"\xff\xfe", 1),
    "no end of the padding": _block(end=b""),
    "parameters without NULL": _block(info=NO_NULL),
    "the name of SHA-1": _block(info=SHA1_INFO),
    "no name of a hash": _block(info=b""),
    "the hash of another text": _block(digest=hashlib.sha256(b"other").digest()),
    "zeros": bytes(256),
}  # fmt: skip


def test_the_block_of_a_right_signature_is_taken():
    """So the next test tries what it says."""
    assert _grant(_with_block(_block()))


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_that_is_nearly_right_is_refused(name):
    """Signed with the private key itself: parsers that are kind have let such forgeries pass."""
    assert len(BLOCKS[name]) == 256
    with pytest.raises(TokenRefusedError, match="signature"):
        _grant(_with_block(BLOCKS[name]))


@pytest.mark.parametrize("change", [b"", b"\x00", "longer", "shorter", "above the modulus"])
def test_a_signature_of_another_size_or_above_the_modulus_is_refused(change):
    """A signature has as many bytes as the modulus, and one number stands for it."""
    message, _, signature = _token().rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    modulus = _public().modulus
    found = {
        "longer": b"\x00" + raw, "shorter": raw[1:],
        "above the modulus": (int.from_bytes(raw) + modulus).to_bytes(257),
    }.get(change, change)  # fmt: skip
    with pytest.raises(TokenRefusedError):
        _grant(f"{message}.{_b64(found)}")


def _hs256(header):
    """Sign with the public key as a secret: what "algorithm confusion" is."""
    public = (
        _private()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    message = _message(header=header)
    return f"{message}.{_b64(hmac.digest(public, message.encode(), 'sha256'))}"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "k1"}, {"alg": "HS256", "kid": "k1"}, {"alg": "RS512", "kid": "k1"},
        {"alg": "rs256", "kid": "k1"}, {"alg": "PS256", "kid": "k1"}, {"kid": "k1"},
        {"alg": "RS256"}, {"alg": "RS256", "kid": 7}, {"alg": ["RS256"], "kid": "k1"},
        {"alg": "RS256", "kid": "k1", "crit": ["exp"]},
    ],
)  # fmt: skip
def test_another_algorithm_is_refused_before_any_key_is_looked_at(header):
    """Whoever signs does not choose."""
    for token in (_hs256(header), _message(header=header) + ".", _token(header=header)):
        with pytest.raises(TokenRefusedError):
            key_id_of(token)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://login.example.org/"}, {"iss": None}, {"aud": "others"}, {"aud": ["others"]},
        {"aud": None}, {"aud": {"noria": 1}}, {"exp": AT.timestamp() - 61}, {"exp": None},
        {"exp": "2099"}, {"exp": True}, {"nbf": AT.timestamp() + 61}, {"nbf": "x"},
        {"scope": "openid"}, {"scope": "user"}, {"scope": "noria:"}, {"scope": None}, {"scope": {}},
        {"scope": ["noria:user noria:admin"]}, {"sub": None}, {"sub": ""}, {"sub": "a\nb"},
        {"sub": "x" * 81},
    ],
    ids=str,
)  # fmt: skip
def test_a_claim_that_is_not_right_is_refused(changes):
    """The signature is; the message quotes nothing."""
    with pytest.raises(TokenRefusedError) as caught:
        _grant(_token(CLAIMS | changes))
    assert "example" not in caught.value.message


def test_clocks_may_differ_by_a_minute():
    """Either way."""
    assert _grant(_token(CLAIMS | {"exp": AT.timestamp() - 59, "nbf": AT.timestamp() + 59}))


def test_projects_that_are_named_but_none_are_none():
    """An empty list is not "all"."""
    for named in ([], "", None, {}, ["a b"]):
        assert not _grant(_token(CLAIMS | {"noria:projects": named})).covers("tickets")


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "a.b", "a.b.c.d", "a.b.c", "é.b.c", "a=.b.c", " a.b.c", "a.b.c\n", "x" * 9000,
     f"{_b64(b'[]')}.{_b64(b'{}')}.AA", f"{_b64(b'[' * 5000)}.e30.AA"],
)  # fmt: skip
def test_what_is_no_token_is_refused(token):
    """Whatever a header holds."""
    with pytest.raises(TokenRefusedError):
        key_id_of(token)


def _jwk(private=None, **changes):
    numbers = (private or _private()).public_key().public_numbers()
    size = (numbers.n.bit_length() + 7) // 8
    found = {"kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256",
             "n": _b64(numbers.n.to_bytes(size)), "e": _b64(numbers.e.to_bytes(3))}  # fmt: skip
    return {k: v for k, v in (found | changes).items() if v is not None}


def test_the_keys_of_an_issuer_are_those_for_rs256():
    """A key without use or algorithm is one."""
    assert public_keys({"keys": [_jwk()]}) == {"k1": _public()}
    assert public_keys({"keys": [_jwk(use=None, alg=None)]}) == {"k1": _public()}


@pytest.mark.parametrize(
    "document",
    [
        None, [], {}, {"keys": None}, {"keys": "x"}, {"keys": [7, None]},
        {"keys": [{"kty": "oct", "kid": "k1", "k": "AA"}]},
        *({"keys": [change]} for change in ({"kty": "EC"},)),
    ],
)  # fmt: skip
def test_a_document_without_such_keys_has_none(document):
    """And stops nothing."""
    assert public_keys(document) == {}


@pytest.mark.parametrize(
    "changes",
    [{"use": "enc"}, {"alg": "RS512"}, {"n": "!"}, {"n": None}, {"e": "Aw"}, {"kid": None}, {"kid": 7},
     {"n": _b64(b"\xff" * 128)}],
)  # fmt: skip
def test_a_key_that_is_weak_or_for_something_else_is_left_out(changes):
    """1,024 bits, an exponent of 3."""
    assert public_keys({"keys": [_jwk(**changes)]}) == {}
