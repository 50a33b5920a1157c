//! Does a mail server get each mail, and is its every answer understood?

use std::time::Duration;

use super::server::{SILENCE, body, header};
use super::{SOMEBODY, Server, mail};
use crate::gateways::mail::{Mail, Mailer, Smtp, SmtpOptions};

#[tokio::test]
async fn a_mail_arrives_as_it_was_written_and_the_connection_is_used_again() {
    let server = Server::start(&[]).await;
    let client = server.client();
    for subject in ["이메일 주소를 확인해 주세요", "Second"] {
        client.send(mail(subject)).await.expect("taken");
    }
    server.seen(|seen| {
        assert_eq!((seen.connections, seen.messages.len()), (1, 2));
        let first = &seen.messages[0];
        assert!(first.is_ascii(), "every server takes it");
        assert_eq!(header(first, "Subject"), "이메일 주소를 확인해 주세요");
        assert_eq!(header(first, "To"), SOMEBODY);
        assert!(header(first, "From").ends_with("<no-reply@onsale.example>"), "{first}");
        assert_eq!(header(first, "Auto-Submitted"), "auto-generated");
        assert!(header(first, "Message-ID").ends_with("@onsale.example>"), "{first}");
        assert_eq!(body(first).trim_end(), "이메일 주소를 확인해 주세요: 인증 코드는 0123 4567 입니다.");
        assert!(seen.commands.iter().any(|line| line.starts_with("MAIL FROM:<no-reply@onsale.example>")));
        assert!(seen.commands.iter().any(|line| line.starts_with("RCPT TO:<kim.minsu@example.com>")));
    });
}

#[tokio::test]
async fn a_text_ends_where_it_ends() {
    let server = Server::start(&[]).await;
    let text = "a\n.\nMAIL FROM:<lee@example.com>\n..b\r\n.\r\nRCPT TO:<lee@example.com>\n";
    server.client().send(Mail { text: text.into(), ..mail("x") }).await.expect("taken");
    server.seen(|seen| {
        assert_eq!(seen.messages.len(), 1);
        assert_eq!(body(&seen.messages[0]).trim_end(), text.replace('\r', "").trim_end());
        assert!(!seen.commands.iter().any(|line| line.contains("lee")), "{:?}", seen.commands);
    });
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    let table = [
        ("CONNECT", "421 too busy", true),
        ("CONNECT", "554 not you", true),
        ("EHLO", "550 who", true),
        ("MAIL", "451 not now", true),
        ("MAIL", "552 too much", false),
        ("RCPT", "450 <kim.minsu@example.com> come back later", true),
        ("RCPT", "550 <kim.minsu@example.com> unknown here", false),
        ("DATA", "451 not now", true),
        (".", "452 no room", true),
        (".", "554 no such letters", false),
        (".", "what", true),
    ];
    for (at, answer, retryable) in table {
        let server = Server::start(&[(at, answer)]).await;
        let client = server.client_within(Duration::from_secs(5));
        let fault = client.send(mail("첫 번째")).await.expect_err(answer);
        assert_eq!(fault.retryable, retryable, "{at} {answer}: {fault}");
        assert!(!fault.detail.contains("kim") && !fault.detail.contains("unknown"), "{fault}");
        client.send(mail("두 번째")).await.expect("the server is well again");
        server.seen(|seen| {
            assert_eq!(seen.connections, 2, "{at} {answer}: nothing is said after a refusal");
            assert_eq!(header(seen.messages.last().expect("one"), "Subject"), "두 번째");
        });
    }
}

#[tokio::test]
async fn a_silent_server_costs_the_time_of_one_call_and_no_other_mail() {
    let rounds = ["CONNECT", "EHLO", "MAIL", "DATA", "."].map(|at| async move {
        let server = Server::start(&[(at, SILENCE)]).await;
        let client = server.client_within(Duration::from_secs(2));
        let fault = client.send(mail("one")).await.expect_err(at);
        assert!(fault.retryable && fault.detail.contains("no answer"), "{at}: {fault}");
        client.send(mail("two")).await.expect("a connection of its own");
        server.seen(|seen| {
            let last = seen.messages.last().expect("one");
            assert_eq!((seen.connections, header(last, "Subject").as_str()), (2, "two"), "{at}");
        });
    });
    futures::future::join_all(rounds).await;
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_noticed() {
    let server = Server::start(&[("NOOP", "421 closing")]).await;
    let client = server.client();
    client.send(mail("one")).await.expect("taken");
    client.send(mail("two")).await.expect("taken over a new one");
    server.seen(|seen| assert_eq!((seen.connections, seen.messages.len()), (2, 2)));
}

#[tokio::test]
async fn nobody_there_is_a_reason_to_try_later() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", free.local_addr().expect("bound"));
    drop(free);
    let client = Smtp::new(SmtpOptions { url, head: super::head(), call_time: Duration::from_secs(5) }).expect("one");
    let fault = client.send(mail("x")).await.expect_err("nobody listens");
    assert!(fault.retryable && fault.detail.contains("cannot be reached"), "{fault}");
}

#[tokio::test]
async fn passwords_are_decoded_and_a_wrong_one_loses_no_mail() {
    use base64::Engine;
    let server = Server::start(&[("AUTH", "535 no"), ("QUIT", "221 bye")]).await;
    let url = format!("smtp://shop%40onsale:p%3Aw%25%ED%95%9C@{}", server.address);
    let client = Smtp::new(SmtpOptions { url, head: super::head(), call_time: Duration::from_secs(5) }).expect("one");
    let fault = client.send(mail("x")).await.expect_err("the password was refused");
    assert!(fault.retryable && fault.detail.contains("535"), "{fault}");
    client.send(mail("x")).await.expect("now it is right");
    let plain = base64::engine::general_purpose::STANDARD.encode("\0shop@onsale\0p:w%한");
    server.seen(|seen| assert!(seen.commands.contains(&format!("AUTH PLAIN {plain}")), "{:?}", seen.commands));
    assert!(!format!("{client:?}").contains("p:w"));
}
