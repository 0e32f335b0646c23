"""requests-negotiate-sspi, as its page has it: sspi_client.py URL USER PASSWORD; says the status, and the user."""

import sys
import warnings

import requests
from requests_negotiate_sspi import HttpNegotiateAuth

warnings.simplefilter("ignore")
URL, USER, PASSWORD = sys.argv[1:]
DOMAIN, NAME = USER.split("\\")
answer = requests.get(URL, auth=HttpNegotiateAuth(NAME, PASSWORD, DOMAIN), verify=False)
print(answer.status_code, answer.text)
