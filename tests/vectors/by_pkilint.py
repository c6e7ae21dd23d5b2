"""What pkilint finds by RFC 5280 in every certificate below a directory, one line each: file, code and place in the certificate, by tabs.

    by_pkilint.py DIRECTORY

A file that it does not read to its end has one line with `unread` in place of a code; one without a finding has a line of its name alone.
"""

import base64
import binascii
import logging
import pathlib
import re
import sys

from pkilint import loader
from pkilint.pkix import certificate, extension, name

BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.S)
# What a validator could not do is a finding as well; the traceback on stderr says no more.
logging.disable(logging.CRITICAL)
VALIDATOR = certificate.create_pkix_certificate_validator_container(
    certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
    [
        certificate.create_issuer_validator_container([]),
        certificate.create_validity_validator_container(),
        certificate.create_subject_validator_container([]),
        certificate.create_extensions_validator_container([]),
        certificate.create_spki_validator_container([]),
    ],
)


def findings(der):
    """Codes and places, or None where a part is not read."""
    try:
        results = VALIDATOR.validate(loader.load_certificate(der, "certificate").root)
    except Exception:  # its decoder raises whatever it stumbles over
        return None
    found = [(one.finding, result.node.path) for result in results for one in result.finding_descriptions]
    if any(finding.severity.name == "FATAL" for finding, _ in found):
        return None
    return [(finding.code, path) for finding, path in found]


def main():
    top = pathlib.Path(sys.argv[1])
    for path in sorted(top.rglob("*")):
        block = BLOCK.search(path.read_text(errors="replace")) if path.is_file() else None
        if block is None:
            continue
        try:
            found = findings(base64.b64decode(block.group(1)))
        except binascii.Error:
            found = None
        file = path.relative_to(top).as_posix()
        print(file)
        for code, place in [("unread", "")] if found is None else found:
            print(file, code, place, sep="\t")


if __name__ == "__main__":
    main()
