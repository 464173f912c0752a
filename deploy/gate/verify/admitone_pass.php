<?php
// Verifies passes of Admit One by its public keys, without asking it. Copy this file; it needs PHP 8 with sodium, which
// PHP brings along.
//
//   $keys = json_decode(file_get_contents('https://wait.example/.well-known/jwks.json'), true)['keys']; // once an hour
//   $claims = admitone_verify($token, $keys, 7, $_SERVER['HTTP_USER_AGENT'] ?? '', time());
//
// A pass that verifies is good until its end, unless it was called back since: only the check at /gate/7 knows that.
//
// As a program it verifies the vectors: php admitone_pass.php vectors.json

declare(strict_types=1);

/** The message is the reason: malformed, key, signature, audience, expired or agent. */
final class AdmitonePassInvalid extends Exception {}

/**
 * The claims of a pass to this room, given to a browser with this User-Agent.
 *
 * @param array<array<string, string>> $keys of the JSON Web Key Set
 * @return array<string, mixed>
 * @throws AdmitonePassInvalid
 */
function admitone_verify(string $token, array $keys, int $room, string $agent, int $now): array
{
    $parts = explode('.', $token);
    if (count($parts) !== 3 || strlen($token) > 1024) {
        throw new AdmitonePassInvalid('malformed');
    }
    $header = json_decode(admitone_bytes($parts[0]), true);
    $claims = json_decode(admitone_bytes($parts[1]), true);
    $signature = admitone_bytes($parts[2]);
    if (!is_array($header) || !is_array($claims) || admitone_text($signature) !== $parts[2]) {
        throw new AdmitonePassInvalid('malformed');
    }
    $named = array_values(array_filter($keys, fn ($key) => ($key['kid'] ?? null) === ($header['kid'] ?? '')
        && ($key['crv'] ?? '') === 'Ed25519'));
    if (($header['alg'] ?? '') !== 'EdDSA' || $named === []) {
        throw new AdmitonePassInvalid('key');
    }
    if (strlen($signature) !== SODIUM_CRYPTO_SIGN_BYTES
        || !sodium_crypto_sign_verify_detached($signature, "$parts[0].$parts[1]", admitone_bytes($named[0]['x']))) {
        throw new AdmitonePassInvalid('signature');
    }
    if (($claims['aud'] ?? '') !== "shop:$room") {
        throw new AdmitonePassInvalid('audience');
    }
    if (!is_int($claims['exp'] ?? null) || $claims['exp'] <= $now) {
        throw new AdmitonePassInvalid('expired');
    }
    if (($claims['ua'] ?? '') !== admitone_text(substr(hash('sha256', $agent, true), 0, 9))) {
        throw new AdmitonePassInvalid('agent');
    }
    return $claims;
}

function admitone_bytes(string $text): string
{
    $bytes = base64_decode(strtr($text, '-_', '+/'), true);
    if ($bytes === false || preg_match('/[^A-Za-z0-9_-]/', $text)) {
        throw new AdmitonePassInvalid('malformed');
    }
    return $bytes;
}

function admitone_text(string $bytes): string
{
    return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
}

if (PHP_SAPI === 'cli' && realpath($argv[0]) === __FILE__ && isset($argv[1])) {
    $vectors = json_decode(file_get_contents($argv[1]), true);
    foreach ($vectors['passes'] as $one) {
        try {
            admitone_verify($one['token'], $vectors['keySet']['keys'], $one['room'], $one['agent'], $one['now']);
            $became = '';
        } catch (AdmitonePassInvalid $invalid) {
            $became = $invalid->getMessage();
        }
        if ($became !== $one['reason']) {
            fwrite(STDERR, "{$one['what']}: $became, not {$one['reason']}\n");
            exit(1);
        }
    }
    echo count($vectors['passes']), " passes as they ought to be\n";
}
