<?php

declare(strict_types=1);

require __DIR__ . '/../src/routes.php';

answer(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
