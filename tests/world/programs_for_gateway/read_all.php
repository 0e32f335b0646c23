<?php
// Binds simply and reads a whole subtree in pages, as any program with PHP's ldap functions would.
[, $url, $user, $password, $base, $size] = $argv;
$directory = ldap_connect($url);
ldap_set_option($directory, LDAP_OPT_PROTOCOL_VERSION, 3);
ldap_set_option($directory, LDAP_OPT_REFERRALS, 0);
if (!@ldap_bind($directory, $user, $password)) {
    echo json_encode(['bound' => false, 'code' => ldap_errno($directory)]), "\n";
    exit(0);
}
$count = 0;
$cookie = '';
do {
    $control = [['oid' => LDAP_CONTROL_PAGEDRESULTS, 'value' => ['size' => (int) $size, 'cookie' => $cookie]]];
    $found = ldap_search($directory, $base, '(objectClass=contact)', ['cn'], 0, 0, 0, LDAP_DEREF_NEVER, $control);
    ldap_parse_result($directory, $found, $code, $matched, $text, $referrals, $controls);
    $count += ldap_count_entries($directory, $found);
    $cookie = $controls[LDAP_CONTROL_PAGEDRESULTS]['value']['cookie'] ?? '';
} while ($cookie !== '');
ldap_unbind($directory);
echo json_encode(['bound' => true, 'count' => $count]), "\n";
