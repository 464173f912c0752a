vcl 4.1;

# The edge in Varnish 6.0 and newer (Debian 12 has 7.1): it stands before the gateways, or before nginx with server.conf.
#   apt-get install varnish, put this file at /etc/varnish/admitone.vcl with your addresses below, and then
#   varnishd -a :6081 -f /etc/varnish/admitone.vcl -s malloc,512m
# TLS ends before it (hitch, or nginx). Tell the gateways and the worker of it:
#   ADMITONE_EDGE_PROVIDER=varnish ADMITONE_EDGE_URLS=http://varnish:6081 ADMITONE_TRUSTED_PROXIES=<its address>
# For a site below a path, as /tickets, put the path before each address that begins with "^/" here.

import std;

backend default {
    .host = "127.0.0.1";
    .port = "8000";
    .connect_timeout = 2s;
    # A request may wait 30 s for a booking, and a stream says something every 10 s.
    .first_byte_timeout = 65s;
    .between_bytes_timeout = 65s;
}

# Who may have it forget: the workers.
acl workers {
    "127.0.0.1";
    "::1";
}

sub vcl_recv {
    if (req.method == "PURGE") {
        if (client.ip !~ workers) {
            return (synth(403, "Forbidden"));
        }
        # The keys of what has changed, blanks between, as `workers/channels/edge/purges.py` sends them.
        if (req.http.xkey !~ "^[a-z0-9-]+( [a-z0-9-]+)*$") {
            return (synth(400, "No keys"));
        }
        set req.http.xkey = regsuball(req.http.xkey, " ", "|");
        ban("obj.http.xkey ~ (?:^|[^a-z0-9-])(?:" + req.http.xkey + ")(?:[^a-z0-9-]|$)");
        return (synth(200, "Forgotten"));
    }

    # What a client claims of its address is worth nothing. The scheme is for what ends TLS before this to say.
    set req.http.X-Forwarded-For = client.ip;
    if (req.http.X-Forwarded-Proto !~ "^https?$") {
        unset req.http.X-Forwarded-Proto;
    }

    if ((req.method != "GET" && req.method != "HEAD") || req.http.Authorization) {
        return (pass);
    }

    # The same for everybody, whoever asks.
    if (req.url ~ "^/(?:static|pictures)/" ||
        req.url ~ "^/api/events(?:\?|$)" ||
        req.url ~ "^/api/initial-call/[0-9]+$" ||
        req.url ~ "^/api/events/[0-9]+/(?:seats|plan|plan/[0-9a-f]+/sections/[0-9]+)$") {
        unset req.http.Cookie;
        unset req.http.Accept-Language;
        return (hash);
    }

    # Pages: the same for everybody without a session. Who has one is shown a page of one's own, which is never kept.
    if (req.url ~ "^/(?:(?:ar|de|en|es|fr|ja)/)?(?:events/[0-9]+)?(?:\?|$)" &&
        req.http.Cookie !~ "(?:^|;\s*)(?:__Host-|__Secure-)?admitone_session=") {
        call read_language;
        unset req.http.Cookie;
        return (hash);
    }
    return (pass);
}

# An address without a language sends some readers on, by the language that they chose or else by their browser's. Of
# both the gateway is told one word, so that it is asked once for each language.
sub read_language {
    if (req.url ~ "^/(?:ar|de|en|es|fr|ja)/") {
        unset req.http.Accept-Language;
    } else if (req.http.Cookie ~ "(?:^|;\s*)admitone_language=(?:ar|de|en|es|fr|ja)(?:;|$)") {
        set req.http.Accept-Language = regsub(req.http.Cookie, "^(?:.*;)?\s*admitone_language=(..).*$", "\1");
    } else if (req.http.Accept-Language ~ "(?i)(?:^|[,\s])(?:ar|de|en|es|fr|ja)(?![a-z])") {
        set req.http.Accept-Language = std.tolower(regsub(req.http.Accept-Language,
            "(?i)^.*?(?:^|[,\s])(ar|de|en|es|fr|ja)(?![a-z]).*$", "\1"));
    } else {
        unset req.http.Accept-Language;
    }
}

# Pages have whole addresses of the site in them, unless ADMITONE_PUBLIC_URL says what these are.
sub vcl_hash {
    hash_data(req.http.X-Forwarded-Proto);
}

sub vcl_backend_response {
    if (beresp.status >= 500 && bereq.is_bgfetch) {
        # What is kept serves on for its grace.
        return (abandon);
    }
    if (beresp.http.Cache-Control ~ "s-maxage=1(?:\D|$)") {
        # A header can say no less than a second. Half of one, and a little while the next is fetched, ask the gateways
        # twice a second at most for each address, and show nothing that is older than a second.
        set beresp.ttl = 0.5s;
        set beresp.grace = 0.4s;
        set beresp.keep = 10s;
    } else if (beresp.http.Cache-Control ~ "(?i)no-store|no-cache|private" || beresp.http.Set-Cookie) {
        # Varnish would ask anew for each request during two minutes, also after one fault.
        set beresp.uncacheable = true;
        set beresp.ttl = 1s;
        return (deliver);
    }
}

sub vcl_deliver {
    unset resp.http.xkey;
    if (obj.uncacheable) {
        set resp.http.X-Cache = "pass";
        return (deliver);
    }
    set resp.http.X-Cache = "miss";
    if (obj.hits > 0) {
        set resp.http.X-Cache = "hit";
        unset resp.http.X-Request-Id;
    }
    if (resp.http.Cache-Control ~ "s-maxage") {
        # What a browser keeps is not ours to forget: it asks each time, and is told where nothing has changed.
        set resp.http.Cache-Control = "private, no-cache";
    }
}
