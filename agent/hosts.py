"""Which hosts are this machine: what may be sent there without anybody's leave."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own.

    An IPv4 address written as IPv6 is not: what reads it may think otherwise.

    >>> [is_loopback(each) for each in ("localhost", "127.0.0.9", "::1", "::ffff:127.0.0.1", "10.0.0.1")]
    [True, True, True, False, False]
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None
