<?php

declare(strict_types=1);

/** Answers a request to the site that the tests of nginx and PHP-FPM serve. */
function answer(string $path): void
{
    match ($path) {
        '/health', '/' => text('ok'),
        '/echo' => json(seen()),
        '/slow' => slow((int) $_GET['ms']),
        '/large' => text(str_repeat('0123456789abcdef', intdiv((int) $_GET['bytes'], 16))),
        '/upload' => json(['fields' => $_POST, 'files' => array_map(received(...), $_FILES)]),
        '/env' => json(getenv()),
        '/after' => after((int) $_GET['ms'], $_GET['file']),
        default => json(['error' => 'no such route', 'path' => $path], 404),
    };
}

function text(string $body): void
{
    header('Content-Type: text/plain');
    echo $body;
}

function json(array $body, int $status = 200): void
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($body, JSON_THROW_ON_ERROR);
}

function seen(): array
{
    $body = file_get_contents('php://input');
    return [
        'server' => $_SERVER,
        'query' => $_GET,
        'length' => strlen($body),
        'sha256' => hash('sha256', $body),
    ];
}


function slow(int $milliseconds): void
{
    work($milliseconds);
    text('ok');
}

/** Takes its time, also when a signal comes, which ends a sleep. */
function work(int $milliseconds): void
{
    $until = hrtime(true) + $milliseconds * 1_000_000;
    while (($left = $until - hrtime(true)) > 0) {
        usleep(intdiv($left, 1000) + 1);
    }
}

function received(array $file): array
{
    return ['name' => $file['name'], 'error' => $file['error']]
        + ($file['error'] === UPLOAD_ERR_OK ? ['sha256' => hash_file('sha256', $file['tmp_name'])] : []);
}

/** Works on after the answer was sent, as a site does that sends mail. */
function after(int $milliseconds, string $file): void
{
    text('ok');
    fastcgi_finish_request();
    work($milliseconds);
    file_put_contents('/tmp/' . basename($file), 'done');
}
